"""What a fitted predictor is worth to a search, measured on schedules that it was not fitted on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.tabular import TabularBenchmark
from omsdpm.dataset import ScheduleDataset
from omsdpm.solvers import Schedules, ScheduleSpace
from studies.ranking import HELD_OUT

if TYPE_CHECKING:
    from benchmarks import Benchmark
    from predictors import Predictor

Array = NDArray[np.float64]

TIMED = 2000
"""Schedules whose scoring is timed."""

WARM_UP = 16
"""Schedules that are scored before, so that the first call's costs are not timed."""


def candidates(benchmark: Benchmark) -> ScheduleDataset:
    """The schedules to judge by: the whole space where all of it is measured, else what is held out."""
    dataset = benchmark.dataset
    return dataset if isinstance(benchmark, TabularBenchmark) else dataset[np.isin(dataset.split, HELD_OUT)]


def top_precision(measured: Array, predicted: Array, percent: float) -> float:
    """Part of the predicted best ``percent`` that is among the measured best, ``(n,), (n,)``.

    Of equally predicted schedules the worst are taken, so that ties do not depend on the
    order of rows and bring nothing.
    """
    k = max(1, round(percent / 100 * len(measured)))
    chosen = np.lexsort((-measured, predicted))[:k]
    best = np.argsort(measured, kind="stable")[:k]
    return len(np.intersect1d(chosen, best)) / k


def regrets(measured: Array, predicted: Array, latency: Array, budgets: Sequence[float]) -> tuple[Array, Array]:
    """For each budget: regret of the schedule predicted best, and the best measured score.

    Args:
        measured, predicted, latency: ``(n,)`` of the candidates.
        budgets: ``b`` limits on latency.

    Returns:
        ``(b,), (b,)``; NaN for budgets that no candidate fits. Of equally predicted schedules
        the worst is taken.
    """
    regret, best = np.full(len(budgets), np.nan), np.full(len(budgets), np.nan)
    for number, budget in enumerate(budgets):
        fits = latency <= budget
        if fits.any():
            chosen = np.lexsort((-measured[fits], predicted[fits]))[0]
            best[number] = measured[fits].min()
            regret[number] = measured[fits][chosen] - best[number]
    return regret, best


def mean_regret_percent(regret: Array, best: Array) -> float:
    """Mean over budgets of the regret in percent of the best score, ``(b,), (b,)``.

    Budgets without a candidate are left out; NaN if there is no other.
    """
    known = np.isfinite(regret) & (best != 0)
    return float(np.mean(100 * regret[known] / np.abs(best[known]))) if known.any() else float("nan")


def coverage(predictor: Predictor, data: ScheduleDataset, level: float) -> float:
    """Part of the measured scores that the predictor's intervals of ``level`` hold."""
    low, high = predictor.predict_interval(data.X, level)
    return float(np.mean((low <= data.y) & (data.y <= high)))


def timed_schedules(space: ScheduleSpace) -> Schedules:
    """``(n, L)`` distinct random schedules, :data:`TIMED` unless a small space gives fewer.

    Distinct, because predictors score equal schedules once.
    """
    rng = np.random.default_rng(0)
    X = np.unique(space.canonical(space.random(20 * TIMED, rng)), axis=0)
    return X[rng.permutation(len(X))[:TIMED]]


def predictions_per_second(predictor: Predictor, X: Schedules) -> float:
    """Schedules ``(n, L)`` that are scored in a second, all in one call."""
    predictor.predict(X[:WARM_UP])
    start = time.perf_counter()
    predictor.predict(X)
    return len(X) / (time.perf_counter() - start)
