"""What is measured first: even schedules of single members under each budget, and schedules of all latencies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from omsdpm.dataset import ScheduleDataset
from omsdpm.dataset.designs import Setting, draw
from omsdpm.latency import LatencyTable
from omsdpm.solvers import Schedules, ScheduleSpace

SINGLES = 0.4
"""Part of a start design that are even schedules of one member; they are where everybody would begin."""

NULL = (0.3, 0.9)
"""Null probabilities of the rest."""


def start_design(
    space: ScheduleSpace, latency: Sequence[float], budgets: Sequence[float], n: int, rng: np.random.Generator
) -> Schedules:
    """``(n, L)`` distinct schedules within the largest budget.

    Args:
        space: of the schedules.
        latency: ms a member.
        budgets: ms.
        n: how many; fewer where the space has no more.
        rng: the only source of randomness.
    """
    singles = rng.permutation(_singles(space, latency, budgets))[: max(1, round(SINGLES * n))]
    limit = max(budgets)
    known = ScheduleDataset(space, singles, np.zeros(len(singles)))
    window = (LatencyTable.of(latency).cheapest, limit)
    setting = Setting(space, latency, known, window, {"null": NULL})
    rest = n - len(singles)
    if space.cardinality <= 4 * n:  # draws would not find enough that are new
        everything = rng.permutation(space.canonical(space.enumerate()))
        everything = everything[space.latency(everything, latency) <= limit]
        _, first = np.unique(np.concatenate([singles, everything]), axis=0, return_index=True)
        return np.concatenate([singles, everything])[np.sort(first)][:n]
    return np.concatenate([singles, draw("stratified", setting, rest, rng)]) if rest > 0 else singles


def _singles(space: ScheduleSpace, latency: Sequence[float], budgets: Sequence[float]) -> Schedules:
    """Each member alone, with as many steps as each budget takes, spread evenly."""
    rows, step = [], LatencyTable.of(latency).step
    for budget in budgets:
        for member, ms in enumerate(latency, start=1):
            steps = min(int(budget / (ms + step) + 1e-9), space.most_steps())
            if steps >= 1:
                x = np.zeros(space.length, dtype=np.int64)
                x[space.even_slots(steps)] = member
                rows.append(x)
    return np.unique(space.canonical(np.array(rows)), axis=0)
