"""The columns of ``predictors.csv``: what is said of one fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from studies import judging
from studies.ranking import Correlations, correlate
from studies.records.columns import Column, Columns

if TYPE_CHECKING:
    from benchmarks import Benchmark
    from omsdpm.dataset import ScheduleDataset
    from predictors import Predictor
    from studies.jobs.compare.found import Found


@dataclass(frozen=True)
class Fit:
    """One fit, and what it predicts.

    Attributes:
        when: the time at its end, ISO 8601.
        benchmark, predictor: the problem, and the fitted predictor.
        name: the predictor as ``name[param=value,...]``.
        train_size, seed: what it was fitted on and with.
        data: the candidates that it is judged on, with ``predicted`` ``(n,)`` of them.
        fit_seconds, predictions_per_second: its speed.
        threads, version: of what.
        found: what a search on it finds, where that was measured.
    """

    when: str
    benchmark: Benchmark
    predictor: Predictor
    name: str
    train_size: int
    seed: int
    data: ScheduleDataset
    predicted: NDArray[np.float64]
    fit_seconds: float
    predictions_per_second: float
    threads: str
    version: str
    found: Found | None = None

    def ranks(self, split: str) -> Correlations:
        """Rank correlations on a split."""
        rows = self.data.split == split
        return correlate(self.data.y[rows], self.predicted[rows])

    def precision(self, percent: float) -> float:
        """Precision at the top of test."""
        rows = self.data.split == "test"
        return judging.top_precision(self.data.y[rows], self.predicted[rows], percent)

    def regrets(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Regret and best measured score under each budget."""
        if not self.benchmark.budgets:  # of a dataset, which has none
            return np.empty(0), np.empty(0)
        latency = self.benchmark.space.latency(self.data.X, self.benchmark.latency)
        return judging.regrets(self.data.y, self.predicted, latency, self.benchmark.budgets)

    def coverage(self, level: float) -> float | None:
        """Part of test that the intervals of a level hold; ``None`` where the family has none."""
        if not self.predictor.has_std:
            return None
        return judging.coverage(self.predictor, self.data[self.data.split == "test"], level)


def _number(name: str, value: Callable[[Fit], float | None], *, undefined: str = "nan") -> Column[Fit]:
    """A column of one number; ``undefined`` stands where there is none."""

    def text(fit: Fit) -> str:
        number = value(fit)
        return undefined if number is None else f"{number:.6g}"

    return Column(name, text, "number")


def _spaced(values: NDArray[np.float64]) -> str:
    """Numbers of the budgets in one cell."""
    return " ".join(f"{value:.6g}" for value in values)


FOUND_FIRST, FOUND_BEST, FOUND_GAP = "found_top_1", "found_top_10", "found_gap_percent"
"""Columns of what a search finds; empty where none was made."""

COLUMNS: Columns[Fit] = Columns(
    Column("when", lambda fit: fit.when),
    Column("benchmark", lambda fit: fit.benchmark.name, required=True),
    Column("data_hash", lambda fit: fit.benchmark.data_hash, required=True),
    Column("predictor", lambda fit: fit.name, required=True),
    Column("train_size", lambda fit: fit.train_size, required=True),
    Column("seed", lambda fit: fit.seed, required=True),
    _number("kendall_tau", lambda fit: fit.ranks("test").kendall_tau),
    _number("spearman", lambda fit: fit.ranks("test").spearman),
    _number("elite_kendall_tau", lambda fit: fit.ranks("elite").kendall_tau),
    _number("precision_top_1_percent", lambda fit: fit.precision(1)),
    _number("precision_top_5_percent", lambda fit: fit.precision(5)),
    Column("budgets_ms", lambda fit: " ".join(f"{budget:.12g}" for budget in fit.benchmark.budgets)),
    Column("regret", lambda fit: _spaced(fit.regrets()[0])),
    _number("mean_regret_percent", lambda fit: judging.mean_regret_percent(*fit.regrets())),
    Column(FOUND_FIRST, lambda fit: "" if fit.found is None else _spaced(fit.found.first)),
    Column(FOUND_BEST, lambda fit: "" if fit.found is None else _spaced(fit.found.best)),
    _number(FOUND_GAP, lambda fit: None if fit.found is None else fit.found.gap, undefined=""),
    _number("fit_seconds", lambda fit: fit.fit_seconds),
    _number("predictions_per_second", lambda fit: fit.predictions_per_second),
    _number("coverage_50", lambda fit: fit.coverage(0.5), undefined=""),
    _number("coverage_90", lambda fit: fit.coverage(0.9), undefined=""),
    Column("threads", lambda fit: fit.threads),
    Column("version", lambda fit: fit.version),
)
