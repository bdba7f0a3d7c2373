"""Wan: a UMT5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omsdpm.prompts.base import Tensors


def encode(pipe: Any, prompts: list[str], negative: str | None, size: tuple[int, int]) -> tuple[Tensors, Tensors]:
    """``encoder_hidden_states (P, T, D)``."""
    # The pipeline's own call allows twice as many tokens as its method does.
    given, without = pipe.encode_prompt(prompts, negative, max_sequence_length=512, device="cpu")
    return {"encoder_hidden_states": given}, {"encoder_hidden_states": without}
