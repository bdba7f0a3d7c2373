"""``dit``: a diffusers ``DiTTransformer2DModel`` (Peebles & Xie, arXiv:2212.09748), which takes labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from omsdpm.errors import InputError
from omsdpm.networks.guided import GuidedNetwork, GuidedTable

if TYPE_CHECKING:
    import torch

    from omsdpm.networks.guided import Given


class DiT(GuidedNetwork):
    """A ``DiTTransformer2DModel``; the label after the last class stands for none."""

    def __init__(self, model: Any, guidance: float | None = None, batched: bool = True) -> None:
        super().__init__(model, guidance, batched)
        self.num_classes = self.no_class = int(model.config.num_embeds_ada_norm)

    def given(self, conditions: dict[str, Any]) -> Given:
        return {"class_labels": conditions["labels"]}

    def without(self, conditions: dict[str, Any]) -> Given:
        import torch

        return {"class_labels": torch.full_like(conditions["labels"], self.no_class)}

    def evaluate(self, x: torch.Tensor, timesteps: torch.Tensor, given: Given) -> torch.Tensor:
        output: torch.Tensor = self.module(x, timestep=timesteps, **given, return_dict=False)[0]
        return output


class DiTTable(GuidedTable):
    """A folder of a diffusers ``DiTTransformer2DModel``; keys of its member."""

    model_classes: ClassVar[tuple[str, ...]] = ("DiTTransformer2DModel",)

    kind: Literal["dit"] = "dit"

    def network(self, model: Any) -> DiT:
        return DiT(model, self.guidance, self.guidance_batched)

    def check_shape(self, config: Any, shape: tuple[int, ...], path: Path) -> None:
        super().check_shape(config, shape, path)
        size = config["sample_size"]
        if tuple(shape[1:]) != (size, size):  # its positions are learned for this size alone
            raise InputError(f"member {path} takes images of {size}x{size}, zoo.toml says {shape[1]}x{shape[-1]}")
