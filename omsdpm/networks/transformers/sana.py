"""Sana's ``SanaTransformer2DModel`` (Xie et al., arXiv:2410.10629)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omsdpm.networks.transformer import PromptedTransformer

if TYPE_CHECKING:
    import torch

    from omsdpm.networks.guided import Given


class Sana(PromptedTransformer):
    """Takes hidden states and a mask of the tokens that are there, and timesteps in a scale of its own."""

    def evaluate(self, x: torch.Tensor, timesteps: torch.Tensor, given: Given) -> torch.Tensor:
        output: torch.Tensor = self.module(
            x,
            encoder_hidden_states=given["encoder_hidden_states"].to(x.dtype),
            encoder_attention_mask=given["encoder_attention_mask"],
            timestep=timesteps * self.module.config.timestep_scale,
            return_dict=False,
        )[0]
        return output
