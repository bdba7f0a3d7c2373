"""PixArt and Sana: one language model, with a mask of the tokens that are there."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omsdpm.prompts.base import Tensors

OF_THE_CALL = ("clean_caption", "complex_human_instruction", "max_sequence_length")
"""Arguments of ``encode_prompt`` that a pipeline's own call has other defaults for."""


def encode(pipe: Any, prompts: list[str], negative: str | None, size: tuple[int, int]) -> tuple[Tensors, Tensors]:
    """``encoder_hidden_states (P, T, D)`` and ``encoder_attention_mask (P, T)``."""
    takes = inspect.signature(pipe.encode_prompt).parameters
    usual = inspect.signature(type(pipe).__call__).parameters
    settled = {name: usual[name].default for name in OF_THE_CALL if name in takes and name in usual}
    hidden, mask, hidden_without, mask_without = pipe.encode_prompt(
        prompts, negative_prompt=negative or "", device="cpu", **settled
    )
    return (
        {"encoder_hidden_states": hidden, "encoder_attention_mask": mask},
        {"encoder_hidden_states": hidden_without, "encoder_attention_mask": mask_without},
    )
