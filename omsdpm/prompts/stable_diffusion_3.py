"""Stable Diffusion 3: two CLIP text encoders and a T5, joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omsdpm.prompts.base import Tensors


def encode(pipe: Any, prompts: list[str], negative: str | None, size: tuple[int, int]) -> tuple[Tensors, Tensors]:
    """``encoder_hidden_states (P, T, D)`` and ``pooled_projections (P, E)``."""
    negatives = None if negative is None else [negative] * len(prompts)
    hidden, hidden_without, pooled, pooled_without = pipe.encode_prompt(
        prompts, None, None, device="cpu", negative_prompt=negatives
    )
    return (
        {"encoder_hidden_states": hidden, "pooled_projections": pooled},
        {"encoder_hidden_states": hidden_without, "pooled_projections": pooled_without},
    )
