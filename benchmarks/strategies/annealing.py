"""Simulated annealing on measured scores, then hill climbing, in the style of BudCache (arXiv:2606.13496)."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import ClassVar

import numpy as np

from benchmarks.strategies.base import NamedSchedule, Problem, Schedule, Strategy, affordable_steps
from benchmarks.strategies.single import single_member
from omsdpm.solvers.space import check_counts

HEAT = 0.1
"""First temperature, as a part of the first score: a schedule worse by so much is taken once in three times."""

COLDEST = 0.01
"""The last temperature, as a part of the first."""

ANNEALED = 0.5
"""Part of the labels that anneal; the rest climb."""

MOVING = 0.5
"""Part of the neighbors that move a step."""

TRIES = 200
"""Draws in search of a schedule that was not measured."""


class AnnealStrategy(Strategy):
    """The best that some labels find by annealing, then climbing, from one member at even steps.

    The start is the member that scores best alone, at the most steps that fit. A neighbor
    differs in one slot, or has a step in another one; what then is over the budget gives up other
    steps, or has faster members in them.

    Args:
        labels: schedules measured under each budget, at most.
    """

    name: ClassVar[str] = "anneal"
    usual: ClassVar[bool] = False

    def __init__(self, *, labels: int = 100) -> None:
        check_counts(labels=labels)
        self.labels = labels

    def schedules(self, problem: Problem, budget: float) -> Iterator[NamedSchedule]:
        space, measure, rng = problem.space, problem.known_labels, np.random.default_rng(problem.seed)
        steps = {member: affordable_steps(problem, budget, space.orders[-1], member) for member in problem.members}
        starts = [single_member(space, member, count) for member, count in steps.items() if count][: self.labels]
        if not starts:
            return
        spent: dict[bytes, float] = {}  # under this budget; what other budgets measured is free but counts here

        def score(x: Schedule) -> float:
            key = space.canonical(x)[0].tobytes()
            if key not in spent:
                spent[key] = float(measure(x)[0])
            return spent[key]

        scores = [score(x) for x in starts]
        x, now = starts[int(np.argmin(scores))], min(scores)
        best, best_score = x, now
        hottest, end = HEAT * abs(now), ANNEALED * self.labels
        while len(spent) < self.labels:
            annealing = len(spent) < end
            y = _unseen(problem, x if annealing else best, budget, spent, rng)
            if y is None:
                break
            new = score(y)
            temperature = hottest * COLDEST ** (len(spent) / end)
            if annealing and new < now + temperature * rng.exponential():  # exp((old - new) / T) > u
                x, now = y, new
            if new < best_score:
                best, best_score = y, new
        yield NamedSchedule(f"annealed for {budget:g} ms with {self.labels} labels", best)


def _unseen(
    problem: Problem, x: Schedule, budget: float, known: Container[bytes], rng: np.random.Generator
) -> Schedule | None:
    """A random neighbor of ``x`` ``(L,)`` within the budget that was not measured; ``None`` if tries find none."""
    for _ in range(TRIES):
        y = problem.space.canonical(_lighter(problem, _neighbor(problem, x, rng), budget, rng))[0]
        if y.any() and problem.fits(y, budget)[0] and y.tobytes() not in known:
            return y
    return None


def _neighbor(problem: Problem, x: Schedule, rng: np.random.Generator) -> Schedule:
    """One slot drawn anew, or a step moved to a free slot; valid."""
    taken, free = np.flatnonzero(x), np.flatnonzero(x == 0)
    y = x.copy()
    if len(free) and rng.random() < MOVING:
        start, end = rng.choice(taken), rng.choice(free)
        y[end], y[start] = x[start], 0
    else:
        y[rng.integers(len(x))] = rng.integers(problem.space.num_models + 1)
    return problem.space.repair(y, rng)[0]


def _lighter(problem: Problem, x: Schedule, budget: float, rng: np.random.Generator) -> Schedule:
    """Other steps are given up, or get a faster member, in random order until the schedule fits."""
    latency = np.concatenate([[0.0], problem.latency])
    x = x.copy()
    while not problem.fits(x, budget)[0]:
        slot = rng.choice(np.flatnonzero(x))
        x[slot] = rng.choice(np.flatnonzero(latency < latency[x[slot]]))
    return problem.space.repair(x)[0]
