"""Stable Diffusion 3's ``SD3Transformer2DModel`` (Esser et al., arXiv:2403.03206)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omsdpm.networks.transformer import PromptedTransformer

if TYPE_CHECKING:
    import torch

    from omsdpm.networks.guided import Given


class SD3(PromptedTransformer):
    """Takes hidden states of all text encoders, and pooled ones."""

    def evaluate(self, x: torch.Tensor, timesteps: torch.Tensor, given: Given) -> torch.Tensor:
        conditions = {name: part.to(x.dtype) for name, part in given.items()}
        output: torch.Tensor = self.module(hidden_states=x, timestep=timesteps, **conditions, return_dict=False)[0]
        return output
