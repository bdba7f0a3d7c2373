"""``skip[blocks=[...]]``: transformer blocks, or the attentions of a U-Net, that are passed over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omsdpm.errors import InputError
from omsdpm.variants.base import Variant

MIDDLE = "middle"
"""Names the middle block of a U-Net."""


class SkipVariant(Variant):
    """A model without some of its blocks: what comes in goes out.

    Args:
        blocks: numbers from 0: of a transformer's blocks, or of a U-Net's transformers in the order in which they
            are evaluated; for a U-Net also ``"middle"``, its whole middle block.

    Raises:
        InputError: no numbers.
    """

    def __init__(self, blocks: int | str | Sequence[int | str]) -> None:
        given = [blocks] if isinstance(blocks, (int, str)) else list(blocks)
        wrong = [
            one for one in given if one != MIDDLE and (isinstance(one, bool) or not isinstance(one, int) or one < 0)
        ]
        if not given or wrong:
            raise InputError(f"blocks = {blocks!r}: expected their numbers from 0, as [3,4], or {MIDDLE!r} of a U-Net")
        self.blocks = given

    def apply(self, model: Any) -> Any:
        places = _transformers_of_unet(model) if hasattr(model, "down_blocks") else _blocks(model)
        for block in self.blocks:
            if block == MIDDLE:
                if getattr(model, "mid_block", None) is None:
                    raise InputError("it has no middle block")
                model.mid_block = _passing(first_of=True)
                continue
            if block >= len(places):
                raise InputError(f"block {block}: it has the blocks 0..{len(places) - 1}")
            owner, key = places[block]
            owner[key] = _passing_block(owner[key])
        return model


def _blocks(model: Any) -> list[tuple[Any, int]]:
    """The blocks of a transformer as places in their lists, in the order of evaluation."""
    import torch
    from diffusers.hooks._common import _ALL_TRANSFORMER_BLOCK_IDENTIFIERS

    lists = [
        child for name, child in model.named_children()
        if name in _ALL_TRANSFORMER_BLOCK_IDENTIFIERS and isinstance(child, torch.nn.ModuleList)
    ]  # fmt: skip
    if not lists:
        raise InputError("it has no list of transformer blocks")
    return [(blocks, number) for blocks in lists for number in range(len(blocks))]


def _transformers_of_unet(model: Any) -> list[tuple[Any, int]]:
    """The transformers of a U-Net as places in their lists, in the order of evaluation."""
    parts = [*model.down_blocks, *([model.mid_block] if model.mid_block is not None else []), *model.up_blocks]
    lists = [part.attentions for part in parts if getattr(part, "attentions", None) is not None]
    return [(attentions, number) for attentions in lists for number in range(len(attentions))]


def _passing_block(block: Any) -> Any:
    """What stands for a block: it gives back what that one changes, in the form in which that one gives it."""
    from diffusers.hooks._helpers import TransformerBlockRegistry

    try:
        known = TransformerBlockRegistry.get(type(block))
    except ValueError:  # of a class that gives back its first argument
        return _passing(first_of=type(block).__name__ == "Transformer2DModel")
    hidden, text = known.return_hidden_states_index, known.return_encoder_hidden_states_index
    return _Passing(known, hidden or 0, text)


def _passing(first_of: bool) -> Any:
    """Gives back its first argument, perhaps as the first of several outputs."""
    import torch

    class First(torch.nn.Module):
        def forward(self, hidden_states: Any, *args: Any, return_dict: bool = True, **others: Any) -> Any:
            return (hidden_states,) if first_of and not return_dict else hidden_states

    return First()


def _Passing(known: Any, hidden: int, text: int | None) -> Any:  # noqa: N802  # a class that torch is imported for
    """Gives back the hidden states, and those of the text in their place where the block changes them too."""
    import torch

    class Passing(torch.nn.Module):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            image = known._get_parameter_from_args_kwargs("hidden_states", args, kwargs)
            if text is None:
                return image
            words = known._get_parameter_from_args_kwargs("encoder_hidden_states", args, kwargs)
            return (image, words) if hidden < text else (words, image)

    return Passing()
