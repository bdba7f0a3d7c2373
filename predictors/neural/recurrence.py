"""LSTM recurrences over sequences of different lengths, several networks at once, with their gradient written out.

Automatic differentiation of a loop of small operations spends most of its time between
them. Written out, a step is one product and a few passes over memory in either direction.
The layout is that of PyTorch's packed sequences: step by step, and within a step the
rows that reach it, longest first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch


def recurrence(gates: torch.Tensor, weight: torch.Tensor, alive: Sequence[int]) -> torch.Tensor:
    """Outputs of one LSTM layer in each of ``K`` networks, from its input projections, starting from zeros.

    Args:
        gates: ``(K, T, 4 H)`` input projections with biases, packed; of the input, forget and
            output gates and of the candidate, in this order (:func:`sigmoids_first`).
        weight: ``(K, H, 4 H)`` from the last output to the gates, columns in the same order.
        alive: ``(S,)`` rows that reach each step, falling; they sum to ``T``.

    Returns:
        ``(K, T, H)`` outputs, packed.
    """
    if torch.is_grad_enabled():
        return _Recurrence.apply(gates, weight, tuple(alive))
    if min(alive, default=0) == max(alive, default=0):
        return _outputs(gates.clone(), weight, len(alive))
    # Only outputs are kept, so that memory is used again while it is in the cache.
    return torch.cat([cells.h for cells in _walk(gates, weight, alive)], dim=1)


def sigmoids_first(gates: torch.Tensor) -> torch.Tensor:
    """``(4 H, ...)`` from PyTorch's order (input, forget, candidate, output) to that of :func:`recurrence`."""
    i, f, g, o = gates.chunk(4, dim=0)
    return torch.cat([i, f, o, g], dim=0)


class Cells(NamedTuple):
    """LSTM cells after a step.

    Attributes:
        acts: ``(K, m, 4 H)`` activations of the gates.
        tanh_c: ``(K, m, H)``.
        c: ``(K, m, H)`` memories.
        h: ``(K, m, H)`` outputs.
    """

    acts: torch.Tensor
    tanh_c: torch.Tensor
    c: torch.Tensor
    h: torch.Tensor

    @classmethod
    def step(cls, gates: torch.Tensor, weight: torch.Tensor, before: tuple[torch.Tensor, torch.Tensor] | None) -> Cells:
        """A step of ``m`` rows, without gradients.

        Args:
            gates: ``(K, m, 4 H)`` input projections; they become the activations in place.
            weight: ``(K, H, 4 H)``.
            before: outputs and memories of these rows ``(K, m, H)``; ``None`` is zeros.
        """
        hidden = weight.shape[1]
        if before is not None:
            gates.baddbmm_(before[0], weight)
        gates[..., : 3 * hidden].sigmoid_()
        gates[..., 3 * hidden :].tanh_()
        i, f, o, g = gates.chunk(4, dim=-1)
        c = i * g
        if before is not None:
            c.addcmul_(f, before[1])
        tanh_c = c.tanh()
        return cls(gates, tanh_c, c, o * tanh_c)


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: torch.Tensor, weight: torch.Tensor, alive: tuple[int, ...]) -> torch.Tensor:
        kept = list(_walk(gates, weight, alive))
        ctx.save_for_backward(weight, *(tensor for cells in kept for tensor in cells))
        return torch.cat([cells.h for cells in kept], dim=1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        (grad_h,) = grads
        weight, *saved = ctx.saved_tensors
        kept = [saved[i : i + 4] for i in range(0, len(saved), 4)]
        rows = [acts.shape[1] for acts, *_ in kept]
        hidden = weight.shape[1]
        back = weight.transpose(1, 2)
        grad_weight = torch.zeros_like(weight)
        by_gates: list[torch.Tensor] = [weight] * len(kept)
        dc: torch.Tensor | None = None
        slices = list(_steps(rows))
        for step in reversed(range(len(kept))):
            acts, tanh_c, _, _ = kept[step]
            i, f, o, g = acts.chunk(4, dim=-1)
            dh = grad_h[:, slices[step]]
            if step + 1 < len(kept):
                dh = dh.clone()
                dh[:, : rows[step + 1]].baddbmm_(by_gates[step + 1], back)
            along = torch.addcmul(o, o * tanh_c, tanh_c, value=-1).mul_(dh)  # d h to d c
            if dc is not None:
                along[:, : dc.shape[1]] += dc
            # Slopes of the activations, then times what reaches each gate.
            d = torch.empty_like(acts)
            sigmoids = acts[..., : 3 * hidden]
            torch.addcmul(sigmoids, sigmoids, sigmoids, value=-1, out=d[..., : 3 * hidden])
            by_i, by_f, by_o, by_g = d.chunk(4, dim=-1)
            by_i.mul_(g).mul_(along)
            by_o.mul_(tanh_c).mul_(dh)
            torch.addcmul(along, along * g, g, value=-1, out=by_g).mul_(i)
            if step:
                _, _, c_before, h_before = (tensor[:, : rows[step]] for tensor in kept[step - 1])
                by_f.mul_(c_before).mul_(along)
                grad_weight.baddbmm_(h_before.transpose(1, 2), d)
                dc = along.mul_(f)
            else:
                by_f.zero_()  # there was no cell to forget
            by_gates[step] = d
        return torch.cat(by_gates, dim=1), grad_weight, None


def _walk(gates: torch.Tensor, weight: torch.Tensor, alive: Sequence[int]) -> Iterator[Cells]:
    before = None
    for now, rows in zip(_steps(alive), alive, strict=True):
        state = before and (before.h[:, :rows], before.c[:, :rows])
        before = Cells.step(gates[:, now].clone(), weight, state)
        yield before


def _outputs(gates: torch.Tensor, weight: torch.Tensor, steps: int) -> torch.Tensor:
    """Outputs ``(K, T, H)`` where all rows reach the last of ``steps``, without gradients; ``gates`` are overwritten.

    What is the same in every step is done before the first, as with few rows the calls take the time.
    """
    networks, _, width = gates.shape
    hidden = width // 4
    by_step = gates.view(networks, steps, -1, width)
    outputs = gates.new_empty(networks, steps, by_step.shape[2], hidden)
    acts, to = by_step.unbind(1), outputs.unbind(1)
    sigmoids, candidates = (part.unbind(1) for part in by_step.split((3 * hidden, hidden), dim=3))
    inputs, forgets, shown = (part.unbind(1) for part in by_step[..., : 3 * hidden].chunk(3, dim=3))
    c = gates.new_zeros(networks, by_step.shape[2], hidden)
    for step in range(steps):
        if step:
            acts[step].baddbmm_(to[step - 1], weight)
        sigmoids[step].sigmoid_()
        candidates[step].tanh_()
        c.mul_(forgets[step]).addcmul_(inputs[step], candidates[step])
        torch.mul(shown[step], c.tanh(), out=to[step])
    return outputs.flatten(1, 2)


def _steps(alive: Sequence[int]) -> Iterator[slice]:
    """The packed rows of each step."""
    return (slice(start, stop) for start, stop in pairwise(accumulate(alive, initial=0)))
