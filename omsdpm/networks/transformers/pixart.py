"""PixArt's ``PixArtTransformer2DModel`` (Chen et al., arXiv:2310.00426): alpha and sigma."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omsdpm.networks.transformer import PromptedTransformer

if TYPE_CHECKING:
    import torch

    from omsdpm.networks.guided import Given

LATENT = 8
"""Pixels of a latent."""


class PixArt(PromptedTransformer):
    """Takes hidden states and a mask of the tokens that are there."""

    def evaluate(self, x: torch.Tensor, timesteps: torch.Tensor, given: Given) -> torch.Tensor:
        output: torch.Tensor = self.module(
            x,
            encoder_hidden_states=given["encoder_hidden_states"].to(x.dtype),
            encoder_attention_mask=given["encoder_attention_mask"],
            timestep=timesteps,
            added_cond_kwargs=self._size(x),
            return_dict=False,
        )[0]
        return output

    def _size(self, x: torch.Tensor) -> dict[str, torch.Tensor | None]:
        """Resolution and aspect ratio, for the models that were trained with them."""
        import torch

        if not self.module.use_additional_conditions:
            return {"resolution": None, "aspect_ratio": None}
        height, width = LATENT * x.shape[2], LATENT * x.shape[3]
        size = torch.tensor([[height, width]] * len(x), dtype=x.dtype, device=x.device)
        return {"resolution": size, "aspect_ratio": size[:, :1] / size[:, 1:]}
