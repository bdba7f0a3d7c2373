"""Stable Diffusion 1 and 2: one CLIP text encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omsdpm.prompts.base import Tensors


def encode(pipe: Any, prompts: list[str], negative: str | None, size: tuple[int, int]) -> tuple[Tensors, Tensors]:
    """``encoder_hidden_states (P, 77, D)``."""
    negatives = None if negative is None else [negative] * len(prompts)
    given, without = pipe.encode_prompt(prompts, "cpu", 1, True, negatives)
    return {"encoder_hidden_states": given}, {"encoder_hidden_states": without}
