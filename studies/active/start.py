"""What is measured first: even schedules of single members, and changes of one slot of a schedule with many steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from omsdpm.dataset import ScheduleDataset
from omsdpm.dataset.designs import Setting, draw
from omsdpm.latency import LatencyTable
from omsdpm.solvers import Schedules, ScheduleSpace

SINGLES = 0.3
"""Part of a start design that are even schedules of one member; they are where everybody would begin."""

NEARLY = 2 / 3
"""Part of the fastest member's steps that another's schedule needs to be the one that is changed."""

NULL = (0.3, 0.9)
"""Null probabilities of random schedules, where there are too few others."""


def start_design(
    space: ScheduleSpace, latency: Sequence[float], budgets: Sequence[float], n: int, rng: np.random.Generator
) -> Schedules:
    """``(n, L)`` distinct schedules within the largest budget.

    Beside the single members, one schedule of many steps is changed in one slot at a time: what each slot's member
    is worth is seen best where all else stays as it is.

    Args:
        space: of the schedules.
        latency: ms a member.
        budgets: ms.
        n: how many; fewer where the space has no more.
        rng: the only source of randomness.
    """
    limit = max(budgets)
    if space.cardinality <= 4 * n:  # draws would not find enough that are new
        rows = [rng.permutation(_singles(space, latency, budgets)), rng.permutation(space.enumerate())]
    else:
        singles = rng.permutation(_singles(space, latency, budgets))[: max(1, round(SINGLES * n))]
        dense = _dense(space, latency, limit)
        known = ScheduleDataset(space, singles, np.zeros(len(singles)))
        setting = Setting(space, latency, known, (LatencyTable.of(latency).cheapest, limit), {"null": NULL})
        rows = [
            dense[None],
            singles,
            rng.permutation(space.neighbors(dense)),
            draw("stratified", setting, n, rng, fewer=True),
            rng.permutation(_lone_steps(space)),  # where budgets are so tight that there are few others
        ]
    X = space.canonical(np.concatenate(rows))
    X = X[space.latency(X, latency) <= limit]
    _, first = np.unique(X, axis=0, return_index=True)
    return X[np.sort(first)][:n]


def _dense(space: ScheduleSpace, latency: Sequence[float], limit: float) -> NDArray[np.int64]:
    """``(L,)``: the most even steps of one member within ``limit`` ms; of equally many the slowest member's.

    The fastest member's only where no other has :data:`NEARLY` as many: what is changed in a schedule that is bad all
    over makes no difference. On 36 slots that led one search of five to winners 90 % worse than the baseline.
    """
    steps = [min(int(limit / ms + 1e-9), space.most_steps()) for ms in latency]
    fastest = min(range(len(steps)), key=lambda k: latency[k])
    others = [k for k in range(len(steps)) if k != fastest and steps[k] >= NEARLY * steps[fastest]]
    member = max(others or [fastest], key=lambda k: (steps[k], latency[k]))
    x = np.zeros(space.length, dtype=np.int64)
    x[space.even_slots(steps[member])] = member + 1
    return space.canonical(x[None])[0]


def _lone_steps(space: ScheduleSpace) -> Schedules:
    """``(m, L)``: every schedule of one evaluation."""
    slots = np.eye(space.length, dtype=np.int64)
    return space.repair(np.concatenate([member * slots for member in range(1, space.num_models + 1)]))


def _singles(space: ScheduleSpace, latency: Sequence[float], budgets: Sequence[float]) -> Schedules:
    """Each member alone, with as many steps as each budget takes, spread evenly, of each order that the solver has."""
    rows, step = [], LatencyTable.of(latency).step
    for budget in budgets:
        for member, ms in enumerate(latency, start=1):
            for order in space.orders:
                steps = min(int(budget / (ms + step) + 1e-9), space.most_steps(order))
                if steps >= 1:
                    x = np.zeros(space.length, dtype=np.int64)
                    x[space.even_slots(steps, order)] = member
                    rows.append(x)
    return np.unique(space.canonical(np.array(rows)), axis=0)
