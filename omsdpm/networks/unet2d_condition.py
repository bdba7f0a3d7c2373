"""``unet2d-condition``: a diffusers ``UNet2DConditionModel``, as Stable Diffusion 1, 2 and XL have it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from omsdpm.errors import InputError
from omsdpm.networks.prompted import PromptedNetwork, PromptedTable

if TYPE_CHECKING:
    import torch

    from omsdpm.networks.guided import Given

ADDED = ("text_embeds", "time_ids")
"""What SDXL's denoiser is given beside the hidden states of the text encoders."""


class UNet2DCondition(PromptedNetwork):
    """A ``UNet2DConditionModel``: prompts by cross-attention, with SDXL's added conditions where it takes them."""

    def evaluate(self, x: torch.Tensor, timesteps: torch.Tensor, given: Given) -> torch.Tensor:
        hidden = given["encoder_hidden_states"]
        added = {name: given[name].to(x.dtype) for name in ADDED if name in given}
        outputs = self.module(
            x, timesteps, encoder_hidden_states=hidden.to(x.dtype), added_cond_kwargs=added or None, return_dict=False
        )
        output: torch.Tensor = outputs[0]
        return output


class UNet2DConditionTable(PromptedTable):
    """A folder of a diffusers ``UNet2DConditionModel``; keys of its member."""

    model_classes: ClassVar[tuple[str, ...]] = ("UNet2DConditionModel",)

    kind: Literal["unet2d-condition"] = "unet2d-condition"

    def network(self, model: Any) -> UNet2DCondition:
        return UNet2DCondition(model, self.guidance, self.guidance_batched)

    def check_shape(self, config: Any, shape: tuple[int, ...], path: Path) -> None:
        super().check_shape(config, shape, path)
        for key in ("class_embed_type", "num_class_embeds", "time_cond_proj_dim"):
            if config.get(key) is not None:
                raise InputError(
                    f"member {path} has {key} = {config[key]!r}: a member of kind {self.kind} takes prompts alone; "
                    "any other network can be one of kind callable (docs/network.md)"
                )
