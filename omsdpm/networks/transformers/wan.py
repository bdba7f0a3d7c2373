"""Wan's ``WanTransformer3DModel``: latents of videos ``(C, F, H, W)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omsdpm.networks.transformer import PromptedTransformer

if TYPE_CHECKING:
    import torch

    from omsdpm.networks.guided import Given


class Wan(PromptedTransformer):
    """Takes the hidden states of its text encoder; Wan 2.2 has two such experts, for much and for little noise."""

    def evaluate(self, x: torch.Tensor, timesteps: torch.Tensor, given: Given) -> torch.Tensor:
        hidden = given["encoder_hidden_states"].to(x.dtype)
        output: torch.Tensor = self.module(
            hidden_states=x, timestep=timesteps, encoder_hidden_states=hidden, return_dict=False
        )[0]
        return output
