"""LSTMs over many sequences whose common beginnings are walked once, for scoring.

Schedules of a population begin alike, above all sorted; what an LSTM makes of a beginning
does not depend on what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from predictors.neural.recurrence import Cells


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
