"""Where models of diffusers have their blocks."""

from __future__ import annotations

from typing import Any

from omsdpm.errors import InputError

LISTS = ("blocks", "layers", "single_transformer_blocks", "temporal_transformer_blocks", "transformer_blocks",
         "transformer_layers")  # fmt: skip
"""Attributes of transformers that hold their blocks."""


def transformer_blocks(model: Any) -> list[tuple[Any, int]]:
    """The blocks of a transformer as places ``(list, index)``, in the order of evaluation.

    Raises:
        InputError: it has none.
    """
    import torch

    lists = [
        child for name, child in model.named_children() if name in LISTS and isinstance(child, torch.nn.ModuleList)
    ]
    if not lists:
        raise InputError("it has no list of transformer blocks")
    return [(blocks, number) for blocks in lists for number in range(len(blocks))]


def unet_transformers(model: Any) -> list[tuple[Any, int]]:
    """The transformers of a U-Net as places ``(list, index)``, in the order of evaluation."""
    middle = [] if model.mid_block is None else [model.mid_block]
    parts = [*model.down_blocks, *middle, *model.up_blocks]
    lists = [part.attentions for part in parts if getattr(part, "attentions", None) is not None]
    return [(attentions, number) for attentions in lists for number in range(len(attentions))]
