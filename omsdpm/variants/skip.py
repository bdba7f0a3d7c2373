"""``skip[blocks=[...]]``: transformer blocks, or the attentions of a U-Net, that are passed over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omsdpm.errors import InputError
from omsdpm.variants.base import Variant
from omsdpm.variants.blocks import transformer_blocks, unet_transformers

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
        self.middle = MIDDLE in given
        self.numbers = [one for one in given if isinstance(one, int) and not isinstance(one, bool) and one >= 0]
        if not given or len(self.numbers) + given.count(MIDDLE) < len(given):
            raise InputError(f"blocks = {blocks!r}: expected their numbers from 0, as [3,4], or {MIDDLE!r} of a U-Net")

    def apply(self, model: Any) -> Any:
        """The model without the blocks."""
        places = unet_transformers(model) if hasattr(model, "down_blocks") else transformer_blocks(model)
        if self.middle:
            if getattr(model, "mid_block", None) is None:
                raise InputError("it has no middle block")
            model.mid_block = _passing(first_of=True)
        for number in self.numbers:
            if number >= len(places):
                raise InputError(f"block {number}: it has the blocks 0..{len(places) - 1}")
            blocks, at = places[number]
            blocks[at] = _passing_block(blocks[at])
        return model


def _passing_block(block: Any) -> Any:
    """What stands for a block: it gives back what that one changes, in the form in which that one gives it."""
    from diffusers.hooks._helpers import TransformerBlockRegistry

    try:
        known = TransformerBlockRegistry.get(type(block))
    except ValueError:  # of a class that gives back its first argument
        return _passing(first_of=type(block).__name__ == "Transformer2DModel")
    hidden, text = known.return_hidden_states_index, known.return_encoder_hidden_states_index
    return _passing_states(known, hidden or 0, text)


def _passing(first_of: bool) -> Any:
    """Gives back its first argument, perhaps as the first of several outputs."""
    import torch

    class First(torch.nn.Module):
        def forward(self, hidden_states: Any, *args: Any, return_dict: bool = True, **others: Any) -> Any:
            return (hidden_states,) if first_of and not return_dict else hidden_states

    return First()


def _passing_states(known: Any, hidden: int, text: int | None) -> Any:
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
