"""Fitting the predictor, and how well it ranks schedules that it has not seen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.dataset import ScheduleDataset
from omsdpm.solvers import Schedules
from predictors import make_predictor

if TYPE_CHECKING:
    from benchmarks import Benchmark
    from predictors import Predictor

HELD_OUT = ("test", "elite")
"""Splits that no predictor is fitted or tuned on."""

Correlations = dict[str, float | int | None]
"""Number of schedules, Kendall's tau-b and Spearman's rho."""

Ranking = dict[str, Correlations]
"""Correlations by split."""


def unfitted(name: str, benchmark: Benchmark, seed: int) -> Predictor:
    """A predictor that knows all of the benchmark but its scores."""
    return make_predictor(
        name,
        space=benchmark.space,
        noise=benchmark.noise,
        latency=list(benchmark.latency),
        random_state=seed,
    )


def fit(name: str, benchmark: Benchmark, train: ScheduleDataset, seed: int) -> Predictor:
    """Fits a predictor on ``train``, with the validation split for its own tuning."""
    predictor = unfitted(name, benchmark, seed)
    held_back: dict[str, Any] = {}
    validation = benchmark.dataset.subset("validation")
    if len(validation):
        held_back = {"X_validation": validation.X, "y_validation": validation.y}
    predictor.fit(train.X, train.y, **held_back)
    return predictor


def ranking(predictor: Predictor, dataset: ScheduleDataset) -> Ranking:
    """Correlations on each held-out split of two schedules or more."""
    parts = {split: dataset.subset(split) for split in HELD_OUT}
    return {split: correlations(predictor, part.X, part.y) for split, part in parts.items() if len(part) >= 2}


def correlations(predictor: Predictor, X: Schedules, y: NDArray[np.float64]) -> Correlations:
    """Kendall's tau-b and Spearman's rho of two schedules or more, ``(n, L)`` with scores ``(n,)``.

    A predictor that gives all schedules the same score has neither: ``None``.
    """
    from scipy.stats import kendalltau, spearmanr

    predicted = predictor.predict(X)
    constant = bool((predicted == predicted[0]).all() or (y == y[0]).all())
    return {
        "schedules": len(X),
        "kendall_tau": None if constant else _number(kendalltau(y, predicted).statistic),
        "spearman": None if constant else _number(spearmanr(y, predicted).statistic),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
