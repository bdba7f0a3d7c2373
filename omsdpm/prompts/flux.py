"""Flux: a pooled CLIP and a T5; guidance was distilled into the denoiser, which takes its scale as an input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omsdpm.prompts.base import Tensors


def encode(pipe: Any, prompts: list[str], negative: str | None, size: tuple[int, int]) -> tuple[Tensors, Tensors]:
    """``encoder_hidden_states (P, T, D)`` and ``pooled_projections (P, E)``; nothing without."""
    hidden, pooled, _ = pipe.encode_prompt(prompts, None, device="cpu")
    return {"encoder_hidden_states": hidden, "pooled_projections": pooled}, {}
