"""An LSTM's recurrence over sequences of different lengths, with its gradient written out.

Automatic differentiation of a loop of small operations spends most of its time between
them. Written out, what does not depend on the next step is done for all steps at once,
and the gradient of the recurrent weight is one product. The layout is that of PyTorch's
packed sequences: step by step, and within a step the rows that reach it, longest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch


def recurrence(gates: torch.Tensor, weight: torch.Tensor, alive: Sequence[int]) -> torch.Tensor:
    """Outputs of an LSTM layer from its input projections, starting from zeros.

    Args:
        gates: ``(T, 4 H)`` input projections with biases, packed; of the input, forget and output
            gates and of the candidate, in this order (:func:`sigmoids_first`).
        weight: ``(H, 4 H)`` from the last output to the gates, columns in the same order.
        alive: ``(S,)`` rows that reach each step, falling; they sum to ``T``.

    Returns:
        ``(T, H)`` outputs, packed.
    """
    return _Recurrence.apply(gates, weight, tuple(alive))


def sigmoids_first(gates: torch.Tensor) -> torch.Tensor:
    """``(4 H, ...)`` from PyTorch's order (input, forget, candidate, output) to that of :func:`recurrence`."""
    i, f, g, o = gates.chunk(4, dim=0)
    return torch.cat([i, f, o, g], dim=0)


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: torch.Tensor, weight: torch.Tensor, alive: tuple[int, ...]) -> torch.Tensor:
        hidden = weight.shape[0]
        acts = torch.empty_like(gates)
        c = gates.new_empty(len(gates), hidden)
        h, tanh_c = torch.empty_like(c), torch.empty_like(c)
        previous: slice | None = None
        for now in _steps(alive):
            a, rows = acts[now], now.stop - now.start
            if previous is None:
                a.copy_(gates[now])
            else:
                before = slice(previous.start, previous.start + rows)
                torch.addmm(gates[now], h[before], weight, out=a)
            a[:, : 3 * hidden].sigmoid_()
            a[:, 3 * hidden :].tanh_()
            i, f, o, g = a.chunk(4, dim=1)
            torch.mul(i, g, out=c[now])
            if previous is not None:
                c[now].addcmul_(f, c[before])
            torch.tanh(c[now], out=tanh_c[now])
            torch.mul(o, tanh_c[now], out=h[now])
            previous = now
        ctx.save_for_backward(acts, c, tanh_c, h, weight)
        ctx.alive = alive
        return h

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        (grad_h,) = grads
        acts, c, tanh_c, h, weight = ctx.saved_tensors
        hidden = weight.shape[0]
        before = _links(ctx.alive).to(acts.device)
        i, f, o, g = acts.chunk(4, dim=1)
        # By gate input, as far as it does not depend on later steps: times d loss / d c, or d h for o.
        d = torch.empty_like(acts)
        sigmoids = acts[:, : 3 * hidden]
        torch.addcmul(sigmoids, sigmoids, sigmoids, value=-1, out=d[:, : 3 * hidden])
        torch.addcmul(torch.ones_like(g), g, g, value=-1, out=d[:, 3 * hidden :])
        d[:, :hidden] *= g
        first = ctx.alive[0]
        d[:first, hidden : 2 * hidden] = 0  # there is no cell to forget yet
        d[first:, hidden : 2 * hidden] *= c[before]
        d[:, 2 * hidden : 3 * hidden] *= tanh_c
        d[:, 3 * hidden :] *= i
        c_by_h = torch.addcmul(o, o * tanh_c, tanh_c, value=-1)
        back = weight.t().contiguous()
        dc = acts.new_zeros(0, hidden)
        later: slice | None = None
        for now in reversed(list(_steps(ctx.alive))):
            dh = grad_h[now]
            rows = now.stop - now.start
            if later is not None:
                dh = dh.clone()
                dh[: later.stop - later.start].addmm_(d[later], back)
            if len(dc) < rows:  # sequences that end here
                dc = torch.cat([dc, dc.new_zeros(rows - len(dc), hidden)])
            dc.addcmul_(dh, c_by_h[now])
            gate = d[now].view(rows, 4, hidden)
            gate[:, :2] *= dc[:, None]
            gate[:, 2] *= dh
            gate[:, 3] *= dc
            dc = dc * f[now]
            later = now
        return d, h[before].t() @ d[first:], None


def _steps(alive: Sequence[int]) -> Any:
    """The packed rows of each step."""
    return (slice(start, stop) for start, stop in pairwise(accumulate(alive, initial=0)))


def _links(alive: Sequence[int]) -> torch.Tensor:
    """``(T - alive[0],)``: for each packed row after the first step, the same sequence's row one step before."""
    counts = torch.tensor(alive)
    starts = counts.cumsum(0) - counts
    rows = torch.arange(int(counts[1:].sum())) - (starts[1:] - counts[0]).repeat_interleave(counts[1:])
    return starts[:-1].repeat_interleave(counts[1:]) + rows
