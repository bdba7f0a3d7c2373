"""Fitting the predictor, and how well it ranks schedules that it has not seen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from omsdpm.dataset import ScheduleDataset
from predictors import make_predictor

if TYPE_CHECKING:
    from benchmarks import Benchmark
    from predictors import Predictor

HELD_OUT = ("test", "elite")
"""Splits that no predictor is fitted or tuned on."""

Ranking = dict[str, dict[str, float | int | None]]


def fit(name: str, benchmark: Benchmark, train: ScheduleDataset, seed: int) -> Predictor:
    """Fits a predictor on ``train``, with the validation split for its own tuning."""
    predictor = make_predictor(
        name,
        space=benchmark.space,
        noise=benchmark.noise,
        latency=list(benchmark.latency),
        random_state=seed,
    )
    held_back: dict[str, Any] = {}
    validation = benchmark.dataset.subset("validation")
    if len(validation):
        held_back = {"X_validation": validation.X, "y_validation": validation.y}
    predictor.fit(train.X, train.y, **held_back)
    return predictor


def ranking(predictor: Predictor, dataset: ScheduleDataset) -> Ranking:
    """Kendall's tau-b and Spearman's rho on each held-out split of two schedules or more.

    A predictor that gives all schedules the same score has neither: ``None``.
    """
    from scipy.stats import kendalltau, spearmanr

    found: Ranking = {}
    for split in HELD_OUT:
        part = dataset.subset(split)
        if len(part) < 2:
            continue
        predicted = predictor.predict(part.X)
        constant = bool((predicted == predicted[0]).all() or (part.y == part.y[0]).all())
        found[split] = {
            "schedules": len(part),
            "kendall_tau": None if constant else _number(kendalltau(part.y, predicted).statistic),
            "spearman": None if constant else _number(spearmanr(part.y, predicted).statistic),
        }
    return found


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
