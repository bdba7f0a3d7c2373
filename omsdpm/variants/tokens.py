"""``tokens[merge=0.5]``: like tokens are merged before each self-attention and taken apart after it.

In the style of token merging (Bolya & Hoffman, arXiv:2303.17604): bipartite soft matching, with every other
token as the ones that are merged into.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omsdpm.errors import InputError
from omsdpm.variants.base import Variant

if TYPE_CHECKING:
    import torch

LARGEST = 0.5
"""Every other token stays."""


class TokensVariant(Variant):
    """Self-attention on fewer tokens.

    Args:
        merge: part of the tokens that is merged into others, more than 0 and at most a half.
        at_least: tokens that a self-attention has to have for it.

    Raises:
        InputError: another part.
    """

    def __init__(self, merge: float = 0.5, at_least: int = 16) -> None:
        if isinstance(merge, bool) or not isinstance(merge, (int, float)) or not 0 < merge <= LARGEST:
            raise InputError(f"merge = {merge!r}: expected a part of the tokens, more than 0 and at most {LARGEST}")
        if isinstance(at_least, bool) or not isinstance(at_least, int) or at_least < 2:
            raise InputError(f"at_least = {at_least!r}: expected a number of tokens")
        self.merge = float(merge)
        self.at_least = at_least

    def apply(self, model: Any) -> Any:
        """The model whose self-attentions merge tokens."""
        from diffusers.models.attention import BasicTransformerBlock

        blocks = [module for module in model.modules() if isinstance(module, BasicTransformerBlock)]
        if not blocks:
            raise InputError("it has no self-attention of its own, apart from the one with the prompt")
        for block in blocks:
            block.attn1 = _merging(block.attn1, self.merge, self.at_least)
        return model


def _merging(attention: Any, part: float, at_least: int) -> Any:
    import torch

    class Merging(torch.nn.Module):
        """A self-attention that sees fewer tokens."""

        def __init__(self) -> None:
            super().__init__()
            self.attention = attention

        def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            tokens = hidden_states.shape[1]
            count = int(part * tokens)
            if tokens < at_least or not count or hidden_states.ndim != 3:
                output: torch.Tensor = self.attention(hidden_states, *args, **kwargs)
                return output
            match = Match(hidden_states, count)
            return match.apart(self.attention(match.merged(hidden_states), *args, **kwargs))

    return Merging()


class Match:
    """Which tokens are merged into which, by their likeness.

    Args:
        x: ``(n, T, D)`` tokens.
        count: of them that are merged, at most ``T // 2``.
    """

    def __init__(self, x: torch.Tensor, count: int) -> None:
        import torch

        unit = torch.nn.functional.normalize(x.float(), dim=-1)
        self.tokens, self.count = x.shape[1], count
        likeness, into = (unit[:, 1::2] @ unit[:, ::2].transpose(1, 2)).max(dim=-1)  # of odd tokens to even ones
        order = likeness.argsort(dim=-1, descending=True)
        self.gone, self.kept = order[:, :count, None], order[:, count:, None].sort(dim=1).values
        self.into = into[..., None].gather(1, self.gone)

    def merged(self, x: torch.Tensor) -> torch.Tensor:
        """``(n, T - count, D)``: even tokens, with the mean of what is merged into them, and odd ones that stay."""
        even, odd, width = x[:, ::2], x[:, 1::2], x.shape[-1]
        joined = even.scatter_reduce(
            1, self.into.expand(-1, -1, width), odd.gather(1, self.gone.expand(-1, -1, width)), "mean"
        )
        return _joined(joined, odd.gather(1, self.kept.expand(-1, -1, width)))

    def apart(self, y: torch.Tensor) -> torch.Tensor:
        """``(n, T, D)``: every token has what it was merged into has."""
        width, evens = y.shape[-1], (self.tokens + 1) // 2
        even, stayed = y[:, :evens], y[:, evens:]
        whole = y.new_empty(len(y), self.tokens, width)
        whole[:, ::2] = even
        odd = y.new_empty(len(y), self.tokens // 2, width)
        odd.scatter_(1, self.kept.expand(-1, -1, width), stayed)
        odd.scatter_(1, self.gone.expand(-1, -1, width), even.gather(1, self.into.expand(-1, -1, width)))
        whole[:, 1::2] = odd
        return whole


def _joined(*parts: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.cat(parts, dim=1)
