"""``unet2d``: a diffusers ``UNet2DModel`` in a folder of its own, as diffusers saves it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from omsdpm.errors import InputError
from omsdpm.networks.base import Network
from omsdpm.networks.diffusers_model import CONFIG_FILE, stored_model, write_model
from omsdpm.networks.folder import FolderTable
from omsdpm.networks.heads import set_heads
from omsdpm.networks.weights import WEIGHTS_FILE

if TYPE_CHECKING:
    import torch

__all__ = ["CONFIG_FILE", "WEIGHTS_FILE", "UNet2D", "UNet2DTable", "load_unet", "write_unet"]


class UNet2D(Network):
    """A ``UNet2DModel``, or anything called like one.

    One with twice as many output channels as input channels has learned a variance (Nichol &
    Dhariwal, 2021, arXiv:2102.09672), which solvers do not use and which is cut off. One with
    ``num_class_embeds`` takes labels.
    """

    exact_timesteps = True

    def __init__(self, unet: Any) -> None:
        self.module = unet
        self.num_classes = getattr(getattr(unet, "config", None), "num_class_embeds", None)

    def __call__(self, x: torch.Tensor, timesteps: torch.Tensor, **conditions: Any) -> torch.Tensor:
        given = {"class_labels": conditions["labels"]} if "labels" in conditions else {}
        output: torch.Tensor = self.module(x, timesteps, **given).sample
        return output[:, : x.shape[1]]


class UNet2DTable(FolderTable):
    """A folder of a diffusers ``UNet2DModel``; keys of its member.

    Attributes:
        heads: attention heads by block, see :mod:`omsdpm.networks.heads`.
    """

    model_classes: ClassVar[tuple[str, ...]] = ("UNet2DModel",)

    kind: Literal["unet2d"] = "unet2d"
    heads: dict[str, Annotated[int, Field(gt=0)]] = Field(default_factory=dict)

    def model(self, path: Path, device: str) -> Any:
        if not self.heads:
            return super().model(path, device)
        unet = load_unet(path, self.variant)
        set_heads(unet, self.heads)
        return unet.to(device).requires_grad_(False)

    def network(self, model: Any) -> UNet2D:
        return UNet2D(model)

    def evaluate_once(self, model: Any) -> None:
        _evaluate(model)

    def check_shape(self, config: Any, shape: tuple[int, ...], path: Path) -> None:
        channels, size = config.in_channels, config.sample_size
        sizes = [size] * 2 if isinstance(size, int) else None if size is None else list(size)
        if channels != shape[0] or sizes not in (None, list(shape[1:])):
            given = (channels, size if sizes is None or len(set(sizes)) > 1 else sizes[0])
            raise InputError(f"member {path} takes (channels, size) {given}, zoo.toml says {shape[:2]}")


def load_unet(folder: str | Path, variant: str | None = None) -> Any:
    """A ``UNet2DModel`` of one's own, on the CPU; see :func:`omsdpm.networks.diffusers_model.stored_model`."""
    return stored_model(folder, UNet2DTable.model_classes, "unet2d", variant, _evaluate).read()


def write_unet(unet: Any, folder: str | Path) -> None:
    """Writes a ``UNet2DModel`` as diffusers does, the weights last and atomically."""
    write_model(unet, folder)


def _evaluate(unet: Any) -> None:
    """Runs a network on images of the size that it says, if it says one."""
    import torch

    network, size = UNet2D(unet.eval()), unet.config.sample_size
    if unet.config.time_embedding_type == "learned":  # older versions of torch tell only outside of this evaluation
        raise ValueError("it looks timesteps up, which have to be whole numbers then")
    if size is not None:
        height, width = (size, size) if isinstance(size, int) else size
        labels = {} if network.num_classes is None else {"labels": torch.zeros(2, dtype=torch.long)}
        network(torch.zeros(2, unet.config.in_channels, height, width), torch.zeros(2), **labels)
