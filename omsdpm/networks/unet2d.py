"""``unet2d``: a diffusers ``UNet2DModel`` in a folder of its own, as diffusers saves it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from omsdpm.errors import InputError
from omsdpm.files import regular_file, replacing
from omsdpm.names import PlainName
from omsdpm.networks.base import MemberTable, Network
from omsdpm.networks.heads import set_heads
from omsdpm.networks.sizes import check_arguments, check_evaluated, shapes_of
from omsdpm.networks.weights import WEIGHTS_FILE, current_names, load_weights, stored_shapes, weight_files

if TYPE_CHECKING:
    import torch

CONFIG_FILE = "config.json"
CONFIG_BYTES = 2**20
"""Longest ``config.json``; diffusers writes a thousand."""


class UNet2D(Network):
    """A ``UNet2DModel``, or anything called like one.

    One with twice as many output channels as input channels has learned a variance (Nichol &
    Dhariwal, 2021, arXiv:2102.09672), which solvers do not use and which is cut off. One with
    ``num_class_embeds`` takes labels.
    """

    def __init__(self, unet: Any) -> None:
        self.unet = self.module = unet
        self.num_classes = getattr(getattr(unet, "config", None), "num_class_embeds", None)

    def __call__(self, x: torch.Tensor, timesteps: torch.Tensor, **conditions: Any) -> torch.Tensor:
        given = {"class_labels": conditions["labels"]} if "labels" in conditions else {}
        output: torch.Tensor = self.unet(x, timesteps, **given).sample
        return output[:, : x.shape[1]]

    def parameters(self) -> Iterable[torch.Tensor]:
        parameters: Iterable[torch.Tensor] = self.unet.parameters()
        return parameters


class UNet2DTable(MemberTable):
    """A folder of a diffusers ``UNet2DModel``; keys of its member.

    Attributes:
        folder: where ``config.json`` and the weights are.
        variant: of the weights' files, such as ``"fp16"``; they are computed with in single precision.
        heads: attention heads by block, see :mod:`omsdpm.networks.heads`.
    """

    model_classes: ClassVar[tuple[str, ...]] = ("UNet2DModel",)

    kind: Literal["unet2d"] = "unet2d"
    folder: Annotated[str, Field(min_length=1)]
    variant: PlainName | None = None
    heads: dict[str, Annotated[int, Field(gt=0)]] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.folder

    def load(self, folder: Path, shape: tuple[int, int, int], device: str) -> UNet2D:
        path = folder / self.folder
        unet = load_unet(path, self.variant)
        if self.heads:
            set_heads(unet, self.heads)
        channels, size = unet.config.in_channels, unet.config.sample_size
        sizes = [size] * 2 if isinstance(size, int) else None if size is None else list(size)
        if channels != shape[0] or sizes not in (None, list(shape[1:])):
            given = (channels, size if sizes is None or len(set(sizes)) > 1 else sizes[0])
            raise InputError(f"member {path} takes (channels, size) {given}, zoo.toml says {shape[:2]}")
        return UNet2D(unet.to(device).eval().requires_grad_(False))

    def content(self, folder: Path) -> dict[str, Any]:
        path = folder / self.folder
        _check_config(path)
        files = weight_files(path, self.variant)
        # Without diffusers' own version, and where the network once came from.
        described = {key: value for key, value in _read_config(path).items() if not key.startswith("_")}
        said = {key: value for key, value in self.table().items() if key not in ("folder", "variant")}
        parts = {"weights": files[0]} if len(files) == 1 else {f"weights {n}": part for n, part in enumerate(files)}
        return {**said, "config": described, **parts}


def load_unet(folder: str | Path, variant: str | None = None) -> Any:
    """A diffusers ``UNet2DModel`` from its folder, in evaluation mode.

    What ``UNet2DModel.from_pretrained`` reads is read: safetensors and ``.bin``, shards, variants, and attentions
    under their first names; but nothing is unpickled, and no memory is taken for what is claimed and not there.

    Raises:
        InputError: it is another model; ``config.json`` or the weights are missing, truncated or do not fit.
    """
    import safetensors
    import torch
    from diffusers import UNet2DModel

    folder = Path(folder)
    _check_config(folder)
    _check_class(folder)
    files = weight_files(folder, variant)
    for path in files:
        regular_file(path, "expected a file of a diffusers UNet2DModel folder")
    weights = files[0]
    where = f"{folder / CONFIG_FILE} is not a UNet2DModel config"
    try:
        stored = stored_shapes(files)
        config = _read_config(folder)
        check_arguments(config, where, layers=len(stored))
        # Claimed shapes are compared with those of the file before memory is taken for them.
        asked = shapes_of(lambda: UNet2DModel.from_config(config), where)
        _compare(asked, current_names(stored, asked), weights)
        check_evaluated(lambda: UNet2DModel.from_config(config), _evaluate, where)
        unet = UNet2DModel.from_config(config)
        state = current_names(load_weights(files), asked)
        unet.load_state_dict(state)
    except (safetensors.SafetensorError, OSError, RuntimeError) as error:
        raise InputError(f"{weights} is truncated or not this network's weights: {_line(error)}") from error
    if not all(torch.isfinite(tensor).all() for tensor in state.values()):
        raise InputError(f"{weights} holds NaN or infinite weights: train or copy the member again")
    return unet.eval()


def _check_class(folder: Path) -> None:
    """Says what the folder is, before its weights are called truncated for not being a U-Net's."""
    name = _read_config(folder).get("_class_name")
    if name not in (None, *UNet2DTable.model_classes):
        raise InputError(
            f"{folder / CONFIG_FILE}: this is a `{str(name)[:80]}`; a member of kind unet2d is a UNet2DModel, and any "
            "other network can be one of kind callable (docs/network.md)"
        )


def _evaluate(unet: Any) -> None:
    """Runs a network on images of the size that it says, if it says one."""
    import torch

    network, size = UNet2D(unet.eval()), unet.config.sample_size
    if size is not None:
        height, width = (size, size) if isinstance(size, int) else size
        labels = {} if network.num_classes is None else {"labels": torch.zeros(2, dtype=torch.long)}
        network(torch.zeros(2, unet.config.in_channels, height, width), torch.zeros(2), **labels)


def write_unet(unet: Any, folder: str | Path) -> None:
    """Writes a ``UNet2DModel`` as diffusers does, the weights last and atomically."""
    from safetensors.torch import save_file

    folder = Path(folder)
    unet.save_config(folder)
    with replacing(folder / WEIGHTS_FILE) as temporary:
        weights = {name: tensor.cpu().contiguous() for name, tensor in unet.state_dict().items()}
        save_file(weights, temporary, metadata={"format": "pt"})


def _read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` as it is.

    Raises:
        InputError: it cannot be read, or is no JSON object.
    """
    path = folder / CONFIG_FILE
    try:
        if path.stat().st_size > CONFIG_BYTES:
            raise ValueError(f"it has more than {CONFIG_BYTES} bytes")
        config = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("expected an object")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a UNet2DModel config: {_line(error)}") from error
    return config


def _compare(asked: dict[str, tuple[int, ...]], stored: dict[str, tuple[int, ...]], weights: Path) -> None:
    for name in {**asked, **stored}:
        if asked.get(name) != stored.get(name):
            there, wanted = (f"{one[name]}" if name in one else "none" for one in (stored, asked))
            raise InputError(
                f"{weights} is truncated or not this network's weights: {name} has shape {there}, "
                f"{CONFIG_FILE} asks for {wanted}"
            )


def _check_config(folder: Path) -> None:
    path = folder / CONFIG_FILE
    try:
        missing = not path.exists()
    except OSError:  # a folder that may not be looked into
        missing = False
    if missing:
        raise InputError(f"zoo member {folder} lacks {path.name}: expected a diffusers UNet2DModel folder")
    regular_file(path, "expected a file of a diffusers UNet2DModel folder")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
