"""SDXL: two CLIP text encoders, the pooled output of the second, and the size of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from omsdpm.prompts.base import Tensors


def encode(pipe: Any, prompts: list[str], negative: str | None, size: tuple[int, int]) -> tuple[Tensors, Tensors]:
    """``encoder_hidden_states (P, 77, D)``, ``text_embeds (P, E)``, and ``time_ids (P, 6)``.

    The latter say original size, crop and target size, which are those of the image, uncropped. No negative
    prompt is zeros where the pipeline's configuration says so.
    """
    import torch

    negatives = None if negative is None else [negative] * len(prompts)
    hidden, hidden_without, pooled, pooled_without = pipe.encode_prompt(
        prompts, device="cpu", negative_prompt=negatives
    )
    times = torch.tensor([[*size, 0, 0, *size]] * len(prompts), dtype=hidden.dtype)
    return _named(hidden, pooled, times), _named(hidden_without, pooled_without, times)


def _named(hidden: torch.Tensor, pooled: torch.Tensor, times: torch.Tensor) -> Tensors:
    return {"encoder_hidden_states": hidden, "text_embeds": pooled, "time_ids": times}
