"""Attention heads that differ from block to block.

``UNet2DModel`` has one ``attention_head_dim`` for every attention. A released DDPM U-Net has
its own number of heads at each resolution and a single one in the middle. Heads are no
weights but a number to set on each attention after construction, so ``zoo.toml`` keeps them
for the members that need it and the member's folder stays a plain diffusers one. Plain
diffusers loads such a folder too, but computes something else with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omsdpm.errors import InputError


def set_heads(unet: Any, heads: Mapping[str, int]) -> None:
    """Gives every attention of the named blocks that many heads.

    Heads split an attention's channels into contiguous parts, and the dot products are
    scaled by a head's width.

    Args:
        unet: a ``UNet2DModel``, changed in place; attentions of blocks not named keep their heads.
        heads: number of heads by block name: ``down_blocks.0``, ``mid_block``, ``up_blocks.1``.

    Raises:
        InputError: a block that has no attention, or channels that the heads do not divide.
    """
    attentions = list(_attentions(unet))
    for block, count in heads.items():
        named = [attention for name, attention in attentions if name == block]
        if not named:
            known = ", ".join(dict.fromkeys(name for name, _ in attentions)) or "nowhere"
            raise InputError(f"{count} heads for block {block!r}: this network has attention in {known}")
        for attention in named:
            if isinstance(count, bool) or not isinstance(count, int) or count < 1 or attention.inner_dim % count:
                raise InputError(
                    f"{count!r} heads for block {block!r}: expected a number that divides its "
                    f"{attention.inner_dim} channels"
                )
            attention.heads = attention.sliceable_head_dim = count
            attention.scale = (attention.inner_dim // count) ** -0.5


def heads_of(unet: Any) -> dict[str, int]:
    """The blocks whose heads are not those that ``unet.config`` gives them, as :func:`set_heads` takes it."""
    width = unet.config.attention_head_dim
    return {
        block: attention.heads
        for block, attention in _attentions(unet)
        if attention.heads != attention.inner_dim // (width or attention.inner_dim)
    }


def _attentions(unet: Any) -> Iterator[tuple[str, Any]]:
    """Every attention with the name of its block, such as ``up_blocks.1``."""
    from diffusers.models.attention_processor import Attention

    for name, module in unet.named_modules():
        if isinstance(module, Attention):
            yield name.partition(".attentions.")[0], module
