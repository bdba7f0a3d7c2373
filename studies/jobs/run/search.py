"""Searching schedules on a fitted predictor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.solvers import Schedules, ScheduleSpace
from studies import Optimizer, SearchProblem, SearchResult
from studies.problem import Scorer
from studies.records.progress import Step

POPULATION = 40
"""Schedules that are kept for each budget, as many as the paper's search ends with."""


@dataclass(frozen=True)
class PricedSpace:
    """The schedules to choose from, and what one evaluation of each member costs in ms, perhaps a LatencyTable."""

    space: ScheduleSpace
    latency: Sequence[float]


@dataclass(frozen=True, eq=False)
class SearchOutcome:
    """What a search brought: the nondominated schedules, and the best of each budget.

    Attributes:
        front: ``(f, L)`` in rising latency, with ``front_scores`` and ``front_latency`` ``(f,)``.
        winners: ``(b, L)``, a row a budget.
        predicted: ``(b,)`` the winners' predicted scores.
        populations: for each budget the best :data:`POPULATION` schedules within it, best first.
        evaluations: schedules that were scored.
    """

    front: Schedules
    front_scores: NDArray[np.float64]
    front_latency: NDArray[np.float64]
    winners: Schedules
    predicted: NDArray[np.float64]
    populations: list[Schedules]
    evaluations: int


def check_evaluations(optimizer: Optimizer, name: str, evaluations: int, budgets: Sequence[float]) -> None:
    """Raises :class:`InputError` where a search of its own for each budget would get no evaluation."""
    if not optimizer.multi_objective and evaluations < len(budgets):
        raise InputError(
            f"{evaluations} evaluations: {name} searches each of the {len(budgets)} budgets by itself, "
            f"so give at least {len(budgets)}"
        )


def search(
    optimizer: Optimizer,
    priced: PricedSpace,
    predictor: Scorer,
    budgets: Sequence[float],
    *,
    evaluations: int,
    seed: int,
    progress: Step,
) -> SearchOutcome:
    """Searches the best predicted schedule under each budget.

    A multi-objective optimizer approximates the front of score and latency in one run, up
    to the largest budget; others run once a budget and share the evaluations equally. A
    budget below everything that the one run met is then searched by itself, on top of
    ``evaluations``; :attr:`SearchOutcome.evaluations` counts what was spent.
    """
    # One run's limit is the largest budget that it must serve.
    limits = [max(budgets)] if optimizer.multi_objective else list(budgets)
    share = evaluations // len(limits)

    def run(limit: float, allowance: int, before: int) -> SearchResult:
        problem = SearchProblem(space=priced.space, predictor=predictor, latency=priced.latency, budget=limit)
        return optimizer.run(
            problem, evaluations=allowance, seed=seed, progress=lambda done, _: progress(before + done, evaluations)
        )

    results = [run(limit, share, number * share) for number, limit in enumerate(limits)]
    cheapest = min(result.latency.min() for result in results)
    for budget in budgets:
        if budget < cheapest:  # the common run met nothing so cheap: a fair share of its own
            results.append(run(budget, max(1, evaluations // len(budgets)), 0))
    together = replace(
        results[0],
        X=np.concatenate([result.X for result in results]),
        scores=np.concatenate([result.scores for result in results]),
        latency=np.concatenate([result.latency for result in results]),
    )
    best = [together.best_index(budget) for budget in budgets]
    front = together.front()
    return SearchOutcome(
        front=front.X,
        front_scores=front.scores,
        front_latency=front.latency,
        winners=together.X[best],
        predicted=together.scores[best],
        populations=[_population(together, budget) for budget in budgets],
        evaluations=sum(result.evaluations for result in results),
    )


def side_by_side(first: SearchOutcome, second: SearchOutcome) -> SearchOutcome:
    """Two searches as one: front and winners of the first, and of each budget the best of both in turn."""
    populations = []
    for ours, theirs in zip(first.populations, second.populations, strict=True):
        both = np.concatenate([ours, theirs])
        # The best of either, then the second best of either, and so on.
        turn = np.argsort(np.r_[2 * np.arange(len(ours)), 2 * np.arange(len(theirs)) + 1], kind="stable")
        both = both[turn]
        _, once = np.unique(both, axis=0, return_index=True)
        populations.append(both[np.sort(once)[:POPULATION]])
    return replace(first, populations=populations, evaluations=first.evaluations + second.evaluations)


def _population(result: SearchResult, budget: float) -> Schedules:
    """The best distinct schedules within a budget, best first; of equal scores the cheaper first."""
    order = np.lexsort((result.latency, result.scores))
    fitting = result.X[order[result.latency[order] <= budget]]
    _, first = np.unique(fitting, axis=0, return_index=True)
    return fitting[np.sort(first)[:POPULATION]]
