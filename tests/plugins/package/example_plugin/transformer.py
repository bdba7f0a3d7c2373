"""How AuraFlow's transformer is called."""

from __future__ import annotations

from omsdpm.networks.transformer import PromptedTransformer


class AuraFlow(PromptedTransformer):
    """Takes hidden states of the text, and timesteps from 0 to 1."""

    def evaluate(self, x, timesteps, given):
        """The model's output."""
        return self.module(x, timestep=timesteps / 1000, **given, return_dict=False)[0]
