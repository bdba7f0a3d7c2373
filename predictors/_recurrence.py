"""LSTM recurrences over sequences of different lengths, several networks at once, with their gradient written out.

Automatic differentiation of a loop of small operations spends most of its time between
them. Written out, a step is one product and a few passes over memory in either direction.
The layout is that of PyTorch's packed sequences: step by step, and within a step the
rows that reach it, longest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray


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


@dataclass(frozen=True)
class PrefixStep:
    """One step of many sequences, whose common beginnings are walked once; a node is a beginning.

    Attributes:
        row: ``(m,)`` for each node that this step adds a sequence that begins with it.
        parent: ``(m,)`` the nodes of the step before that these go on from; ``None`` for its first m, in their order.
        ended, last: ``(e,)`` the sequences that this step ends, and their nodes.
    """

    row: NDArray[np.int64]
    parent: NDArray[np.int64] | None
    ended: NDArray[np.int64]
    last: NDArray[np.int64]


def prefix_steps(codes: NDArray[np.int64], lengths: NDArray[np.int64]) -> Iterator[PrefixStep]:
    """The steps of sequences ``codes`` ``(n, S)``, of which the first ``lengths`` ``(n,)`` count.

    Neighbors only are compared; where sequences are sorted, no beginning is walked twice.
    """
    n, longest = codes.shape
    active = np.arange(longest) < lengths[:, None]
    codes = np.where(active, codes, -1)
    new = np.ones((n, longest), dtype=bool)
    np.logical_or.accumulate(codes[1:] != codes[:-1], axis=1, out=new[1:])
    new &= active
    node = new.cumsum(axis=0) - 1  # (n, S), where active
    missing = longest - lengths
    place = place_before = np.zeros(0, dtype=np.int64)
    for step in range(longest):
        row, ended = np.flatnonzero(new[:, step]), np.flatnonzero(lengths == step + 1)
        # Longest first: once all sequences differ, those that go on are the first ones, and need not be gathered.
        order = np.argsort(missing[row], kind="stable")
        row, place_before, place = row[order], place, np.empty_like(row)
        place[order] = np.arange(len(row))
        parent = place_before[node[row, step - 1]] if step else None
        if parent is not None and np.array_equal(parent, np.arange(len(parent))):
            parent = None
        yield PrefixStep(row, parent, ended, place[node[ended, step]])


def sums_by_prefixes(
    codes: torch.Tensor,
    lengths: torch.Tensor,
    gates: Callable[[torch.Tensor, int], torch.Tensor],
    weight: torch.Tensor,
    of: Callable[[torch.Tensor], torch.Tensor] = lambda outputs: outputs,
) -> torch.Tensor:
    """Sums over steps of what ``of`` makes of an LSTM layer's outputs, without gradients.

    Steps that sequences begin with alike are walked once.

    Args:
        codes: ``(n, S)``; steps of equal codes have equal gates.
        lengths: ``(n,)`` steps that count, on the CPU.
        gates: rows ``(m,)`` and the number of a step to input projections ``(K, m, 4 H)``, which are overwritten.
        weight: ``(K, H, 4 H)``.
        of: ``(K, m, H) -> (K, m, H)``.

    Returns:
        ``(K, n, H)``.
    """
    device = weight.device
    total = weight.new_empty(len(weight), len(codes), weight.shape[1])
    h = c = so_far = None
    counted = np.where(np.arange(codes.shape[1]) < lengths.numpy()[:, None], 1 + codes.cpu().numpy(), 0)
    # Big-endian bytes sort like the numbers.
    order = np.argsort(counted.astype(">u4").view(f"S{4 * codes.shape[1]}").reshape(-1), kind="stable")
    for number, step in enumerate(prefix_steps(counted[order], lengths.numpy()[order])):
        now = gates(torch.as_tensor(order[step.row], device=device), number)
        if h is None or c is None or so_far is None:
            cells = Cells.step(now, weight, None)
            so_far = of(cells.h)
        else:
            if step.parent is None:
                h, c, so_far = (state[:, : len(step.row)] for state in (h, c, so_far))
            else:
                parent = torch.as_tensor(step.parent, device=device)
                h, c, so_far = (state.index_select(1, parent) for state in (h, c, so_far))
            cells = Cells.step(now, weight, (h, c))
            so_far = so_far + of(cells.h)
        h, c = cells.h, cells.c
        if len(step.ended):
            ended, last = (torch.as_tensor(index, device=device) for index in (order[step.ended], step.last))
            total.index_copy_(1, ended, so_far.index_select(1, last))
    return total


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


def _steps(alive: Sequence[int]) -> Iterator[slice]:
    """The packed rows of each step."""
    return (slice(start, stop) for start, stop in pairwise(accumulate(alive, initial=0)))
