"""A member per step by the degradation that each causes alone, in the style of TMPDiff (arXiv:2603.14062)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.strategies.base import CannotError, NamedSchedule, Problem, Schedule, Strategy
from omsdpm.errors import InputError
from omsdpm.latency import LatencyTable


class BisectStrategy(Strategy):
    """In every slot the fastest member that degrades the score by no more than a threshold, found by bisection.

    The base has one member in all slots. Each slot is measured with each other member, and left
    out, all else as it is: ``L x M + 1`` labels for L slots and M members. It is assumed that
    degradations add, so that one threshold serves all slots; the lowest that fits the budget is
    taken. Leaving slots out is our addition, without which few budgets can be met.

    Args:
        base: the member that the others are compared with; ``None`` is the slowest.
    """

    name: ClassVar[str] = "bisect"
    usual: ClassVar[bool] = False

    def __init__(self, *, base: int | None = None) -> None:
        if base is not None and (isinstance(base, bool) or not isinstance(base, int) or base < 1):
            raise InputError(f"base={base!r}: expected the number of a member")
        self.base = base

    def schedules(self, problem: Problem, budget: float) -> Iterator[NamedSchedule]:
        base = problem.slowest if self.base is None else self.base
        if base not in problem.members:
            raise InputError(f"base={base}: the zoo has members 1..{problem.space.num_models}")
        if budget < LatencyTable.of(problem.latency).cheapest:
            return  # before a label is spent
        degradation = degradations(problem, base)
        thresholds = np.unique(degradation)
        low, high = 0, len(thresholds)  # the lowest that fits is in [low, high); the cost falls with the threshold
        while low < high:
            middle = (low + high) // 2
            x = cheapest(problem, degradation, float(thresholds[middle]))
            if problem.fits(x, budget)[0]:
                high = middle
            else:
                low = middle + 1
        x = cheapest(problem, degradation, float(thresholds[min(low, len(thresholds) - 1)]))
        if not x.any() or not problem.fits(x, budget)[0]:
            raise CannotError(f"no threshold leaves a schedule within {budget:g} ms: all slots become null at once")
        yield NamedSchedule(f"bisected for {budget:g} ms from member {base}", problem.space.repair(x)[0])


def degradations(problem: Problem, base: int) -> NDArray[np.float64]:
    """``(L, M + 1)``: by how much the score rises where one slot of the base has another member, or null.

    Where a solver does not let a slot be null alone, its group is repaired, as it is when chosen.
    """
    space = problem.space
    slots, members = np.divmod(np.arange(space.length * (space.num_models + 1)), space.num_models + 1)
    X = np.full((len(slots), space.length), base, dtype=np.int64)
    X[np.arange(len(slots)), slots] = members
    whole = np.full((1, space.length), base, dtype=np.int64)
    lone = ~X.any(axis=1)  # a space of one slot
    scores = problem.known_labels(space.repair(np.concatenate([whole, X])))
    rise = scores[1:] - scores[0]
    rise[lone] = np.inf
    return rise.reshape(space.length, space.num_models + 1)


def cheapest(problem: Problem, degradation: NDArray[np.float64], threshold: float) -> Schedule:
    """``(L,)``: in each slot the cheapest of those that degrade no more than ``threshold``; the base's never does."""
    cost = np.concatenate([[0.0], problem.latency])
    allowed = degradation <= max(threshold, 0.0)
    return np.where(allowed, cost, np.inf).argmin(axis=1)
