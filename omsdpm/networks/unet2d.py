"""``unet2d``: a diffusers ``UNet2DModel`` in a folder of its own, as diffusers saves it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from omsdpm.errors import InputError
from omsdpm.files import regular_file, replacing
from omsdpm.networks.base import MemberTable, Network
from omsdpm.networks.heads import set_heads
from omsdpm.networks.sizes import check_arguments, check_evaluated, shapes_of

if TYPE_CHECKING:
    import torch

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "diffusion_pytorch_model.safetensors"
CONFIG_BYTES = 2**20
"""Longest ``config.json``; diffusers writes a thousand."""


class UNet2D(Network):
    """A ``UNet2DModel``, or anything called like one.

    One with twice as many output channels as input channels has learned a variance (Nichol &
    Dhariwal, 2021, arXiv:2102.09672), which solvers do not use and which is cut off. One with
    ``num_class_embeds`` takes labels.
    """

    def __init__(self, unet: Any) -> None:
        self.unet = unet
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
        heads: attention heads by block, see :mod:`omsdpm.networks.heads`.
    """

    kind: Literal["unet2d"] = "unet2d"
    folder: Annotated[str, Field(min_length=1)]
    heads: dict[str, Annotated[int, Field(gt=0)]] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.folder

    def load(self, folder: Path, shape: tuple[int, int, int], device: str) -> UNet2D:
        path = folder / self.folder
        unet = load_unet(path)
        if self.heads:
            set_heads(unet, self.heads)
        given = (unet.config.in_channels, unet.config.sample_size)
        if given != shape[:2]:
            raise InputError(f"member {path} takes (channels, size) {given}, zoo.toml says {shape[:2]}")
        return UNet2D(unet.to(device).eval().requires_grad_(False))

    def content(self, folder: Path) -> dict[str, Any]:
        path = folder / self.folder
        _check_files(path)
        # Without diffusers' own version, and where the network once came from.
        described = {key: value for key, value in _read_config(path).items() if not key.startswith("_")}
        said = {key: value for key, value in self.table().items() if key != "folder"}
        return {**said, "config": described, "weights": path / WEIGHTS_FILE}


def load_unet(folder: str | Path) -> Any:
    """A diffusers ``UNet2DModel`` from its folder, in evaluation mode.

    Raises:
        InputError: ``config.json`` or the weights are missing, truncated or do not fit.
    """
    import safetensors
    import torch
    from diffusers import UNet2DModel
    from safetensors.torch import load_file

    folder = Path(folder)
    _check_files(folder)
    weights = folder / WEIGHTS_FILE
    where = f"{folder / CONFIG_FILE} is not a UNet2DModel config"
    try:
        stored = _stored_shapes(weights)
        config = _read_config(folder)
        check_arguments(config, where, layers=len(stored))
        # Claimed shapes are compared with those of the file before memory is taken for them.
        asked = shapes_of(lambda: UNet2DModel.from_config(config), where)
        _compare(asked, stored, weights)
        check_evaluated(lambda: UNet2DModel.from_config(config), _evaluate, where)
        unet = UNet2DModel.from_config(config)
        state = load_file(weights)
        unet.load_state_dict(state)
    except (safetensors.SafetensorError, OSError, RuntimeError) as error:
        raise InputError(f"{weights} is truncated or not this network's weights: {_line(error)}") from error
    if not all(torch.isfinite(tensor).all() for tensor in state.values()):
        raise InputError(f"{weights} holds NaN or infinite weights: train or copy the member again")
    return unet.eval()


def _evaluate(unet: Any) -> None:
    """Runs a network on images of the size that it says, if it says one."""
    import torch

    network, size = UNet2D(unet.eval()), unet.config.sample_size
    if isinstance(size, int):
        labels = {} if network.num_classes is None else {"labels": torch.zeros(2, dtype=torch.long)}
        network(torch.zeros(2, unet.config.in_channels, size, size), torch.zeros(2), **labels)


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


def _stored_shapes(weights: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of a safetensors file's tensors, from its header, which is checked against the file's size."""
    from safetensors import safe_open

    with safe_open(weights, framework="pt") as file:
        names = file.keys()  # it is no dict that could be walked itself
        return {name: tuple(file.get_slice(name).get_shape()) for name in names}


def _compare(asked: dict[str, tuple[int, ...]], stored: dict[str, tuple[int, ...]], weights: Path) -> None:
    for name in {**asked, **stored}:
        if asked.get(name) != stored.get(name):
            there, wanted = (f"{one[name]}" if name in one else "none" for one in (stored, asked))
            raise InputError(
                f"{weights} is truncated or not this network's weights: {name} has shape {there}, "
                f"{CONFIG_FILE} asks for {wanted}"
            )


def _check_files(folder: Path) -> None:
    for path in (folder / CONFIG_FILE, folder / WEIGHTS_FILE):
        try:
            missing = not path.exists()
        except OSError:  # a folder that may not be looked into
            missing = False
        if missing:
            raise InputError(f"zoo member {folder} lacks {path.name}: expected a diffusers UNet2DModel folder")
        regular_file(path, "expected a file of a diffusers UNet2DModel folder")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
