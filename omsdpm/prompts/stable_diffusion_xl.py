"""SDXL: two CLIP text encoders, the pooled output of the second, and the size of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from omsdpm.prompts.base import Tensors

AESTHETIC = (6.0, 2.5)
"""The refiner's usual scores, with the prompt and without."""


def encode(pipe: Any, prompts: list[str], negative: str | None, size: tuple[int, int]) -> tuple[Tensors, Tensors]:
    """``encoder_hidden_states (P, 77, D)``, ``text_embeds (P, E)``, and ``time_ids (P, 6)``.

    The latter say original size, crop and target size, which are those of the image, uncropped; the refiner is
    told an aesthetic score instead of the target size. No negative prompt is zeros where the pipeline's
    configuration says so.
    """
    import torch

    negatives = None if negative is None else [negative] * len(prompts)
    hidden, hidden_without, pooled, pooled_without = pipe.encode_prompt(
        prompts, device="cpu", negative_prompt=negatives
    )
    scores = [[score] for score in AESTHETIC] if pipe.config.get("requires_aesthetics_score") else [[*size]] * 2
    times, times_without = (torch.tensor([[*size, 0, 0, *last]] * len(prompts), dtype=hidden.dtype) for last in scores)
    return _named(hidden, pooled, times), _named(hidden_without, pooled_without, times_without)


def _named(hidden: torch.Tensor, pooled: torch.Tensor, times: torch.Tensor) -> Tensors:
    return {"encoder_hidden_states": hidden, "text_embeds": pooled, "time_ids": times}
