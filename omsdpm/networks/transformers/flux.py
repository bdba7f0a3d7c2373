"""Flux's ``FluxTransformer2DModel``: latents in packs of 2x2, and guidance as an input where it was distilled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omsdpm.networks.transformer import PromptedTransformer

if TYPE_CHECKING:
    import torch

    from omsdpm.networks.guided import Given

PACK = 2
"""Latents side by side that are one token."""

STEPS = 1000
"""Timesteps that the model takes as 1."""

USUAL_GUIDANCE = 3.5
"""The pipeline's own scale, where none is said."""


class Flux(PromptedTransformer):
    """Takes packed latents ``(n, H W / 4, 4 C)`` with their places, and timesteps from 0 to 1.

    Guidance costs nothing: a model with ``guidance_embeds`` was distilled from guided ones and is told the scale.
    One without (schnell) takes none.
    """

    def __init__(self, model: Any, guidance: float | None = None, batched: bool = True) -> None:
        super().__init__(model, guidance, batched)
        self.takes_guidance = bool(model.config.guidance_embeds)

    @property
    def twice(self) -> bool:
        return False

    def evaluate(self, x: torch.Tensor, timesteps: torch.Tensor, given: Given) -> torch.Tensor:
        import torch

        n, channels, height, width = x.shape
        rows, columns, hidden = height // PACK, width // PACK, given["encoder_hidden_states"].to(x.dtype)
        packed = x.view(n, channels, rows, PACK, columns, PACK).permute(0, 2, 4, 1, 3, 5).reshape(n, rows * columns, -1)
        places = torch.zeros(rows, columns, 3, dtype=x.dtype, device=x.device)
        places[..., 1] = torch.arange(rows)[:, None]
        places[..., 2] = torch.arange(columns)[None, :]
        scale = USUAL_GUIDANCE if self.guidance is None else self.guidance
        output: torch.Tensor = self.module(
            hidden_states=packed,
            timestep=timesteps / STEPS,
            guidance=torch.full((n,), scale, dtype=x.dtype, device=x.device) if self.takes_guidance else None,
            encoder_hidden_states=hidden,
            pooled_projections=given["pooled_projections"].to(x.dtype),
            txt_ids=torch.zeros(hidden.shape[1], 3, dtype=x.dtype, device=x.device),
            img_ids=places.view(-1, 3),
            return_dict=False,
        )[0]
        return output.view(n, rows, columns, channels, PACK, PACK).permute(0, 3, 1, 4, 2, 5).reshape(x.shape)

    @classmethod
    def channels(cls, config: Any) -> int:
        return int(config["in_channels"]) // PACK**2
