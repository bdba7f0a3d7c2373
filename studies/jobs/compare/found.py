"""What a search on a predictor finds, measured: rank correlation is not search quality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.oracle import Oracle
from studies import make_optimizer
from studies.jobs.run.search import PricedSpace, search
from studies.jobs.run.settings import EVALUATIONS, TOP
from studies.pessimist import KAPPA, Pessimist

if TYPE_CHECKING:
    from benchmarks import Benchmark
    from predictors import Predictor

OPTIMIZER = "nsga2"
"""Of the search on each predictor; the usual one of `run`."""


@dataclass(frozen=True)
class Found:
    """What the search finds under each budget.

    Attributes:
        first: ``(b,)`` measured score of the schedule that is predicted best.
        best: ``(b,)`` the best measured of the :data:`TOP` predicted best.
        known: ``(b,)`` the best score there is: the optimum where all schedules are measured, else the best of the
            dataset, which a search may find better schedules than.
    """

    first: NDArray[np.float64]
    best: NDArray[np.float64]
    known: NDArray[np.float64]

    @property
    def gap(self) -> float:
        """By how much :attr:`best` is above :attr:`known`, in percent, mean over budgets; negative where below."""
        return float(np.mean(100 * (self.best - self.known) / np.abs(self.known)))


def found_by_search(benchmark: Benchmark, predictor: Predictor, seed: int, device: str) -> Found:
    """Searches on a fitted predictor and measures what it finds, from the dataset's own noise.

    Scores that the benchmark has are looked up.

    Args:
        benchmark: with budgets.
        predictor: fitted on some of its labels.
        seed: of the search.
        device: where the rest is sampled.
    """
    outcome = search(
        make_optimizer(OPTIMIZER), PricedSpace(benchmark.space, benchmark.latency), Pessimist(predictor, KAPPA),
        benchmark.budgets, evaluations=EVALUATIONS, seed=seed, progress=lambda done, total: None,
    )  # fmt: skip
    pools = [pool[:TOP] for pool in outcome.populations]
    measured = Oracle(benchmark, device).predict(np.concatenate(pools))
    scores = np.split(measured, np.cumsum([len(pool) for pool in pools])[:-1])
    return Found(
        np.array([own[0] for own in scores]),
        np.array([own.min() for own in scores]),
        np.array([_best_known(benchmark, budget) for budget in benchmark.budgets]),
    )


def _best_known(benchmark: Any, budget: float) -> float:
    latency = benchmark.space.latency(benchmark.dataset.X, benchmark.latency)
    within = benchmark.dataset.y[latency <= budget]
    return float(within.min()) if len(within) else float("nan")
