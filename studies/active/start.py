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

PROPOSED = 0.3
"""Part that strategies propose under the budgets, of two members, where there are more slots than labels."""

NULL = (0.3, 0.9)
"""Null probabilities of random schedules, where there are too few others."""


def start_design(
    space: ScheduleSpace, latency: Sequence[float], budgets: Sequence[float], n: int, rng: np.random.Generator
) -> Schedules:
    """``(n, L)`` distinct schedules within the largest budget.

    Beside the single members one schedule of many steps is changed in one slot at a time: what each slot's member is
    worth is seen best where all else stays as it is. Where there are more slots than labels that cannot be, and the
    schedule may be a bad one: then some of what strategies propose, which a careful user would try, comes first.

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
        some = round(PROPOSED * n) if space.length > n else 0
        proposed = rng.permutation(_proposed(space, latency, budgets))[:some] if some else singles[:0]
        setting = Setting(space, latency, known, (LatencyTable.of(latency).cheapest, limit), {"null": NULL})
        changed, random = rng.permutation(space.neighbors(dense)), draw("stratified", setting, n, rng)
        rows = [dense[None], singles, proposed, changed, random]
    X = space.canonical(np.concatenate(rows))
    X = X[space.latency(X, latency) <= limit]
    _, first = np.unique(X, axis=0, return_index=True)
    return X[np.sort(first)][:n]


def _dense(space: ScheduleSpace, latency: Sequence[float], limit: float) -> NDArray[np.int64]:
    """``(L,)``: the most even steps of one member within ``limit`` ms; of equally many the slowest member's."""
    steps = [min(int(limit / ms + 1e-9), space.most_steps()) for ms in latency]
    member = max(range(len(steps)), key=lambda k: (steps[k], latency[k]))
    x = np.zeros(space.length, dtype=np.int64)
    x[space.even_slots(steps[member])] = member + 1
    return space.canonical(x[None])[0]


def _proposed(space: ScheduleSpace, latency: Sequence[float], budgets: Sequence[float]) -> Schedules:
    """What strategies propose that is not a single member's, ``(n, L)``."""
    from benchmarks.baselines import all_baselines

    rows = [one.x for one in all_baselines(space, latency, budgets) if len(np.unique(one.x[one.x > 0])) > 1]
    return np.array(rows, dtype=np.int64).reshape(-1, space.length)


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
