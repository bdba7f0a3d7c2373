"""How well predictions rank schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from omsdpm.dataset import ScheduleDataset
from omsdpm.solvers import Schedules
from studies.records.result import Record

if TYPE_CHECKING:
    from benchmarks import Benchmark
    from predictors import Predictor

HELD_OUT = ("test", "elite")
"""Splits that no predictor is fitted or tuned on."""

MIN_RANKED = 2
"""Fewest schedules that can be ranked."""


class Correlations(Record):
    """Rank correlations of some schedules' predicted and measured scores.

    Attributes:
        schedules: how many.
        kendall_tau, spearman: Kendall's tau-b and Spearman's rho; ``None`` for fewer than two.
        constant: all predictions are equal, or all scores. Such predictions rank nothing,
            which counts as 0: left out, they would raise a mean.
    """

    schedules: int
    kendall_tau: float | None
    spearman: float | None
    constant: bool = False

    @property
    def words(self) -> str:
        """The correlations as a person reads them."""
        if self.kendall_tau is None or self.spearman is None:
            return f"undefined: {self.schedules} schedule{'s' * (self.schedules != 1)}"
        why = " (constant: all schedules are predicted or measured the same, which ranks nothing)"
        return f"Kendall tau {self.kendall_tau:.3f}, Spearman {self.spearman:.3f}{why if self.constant else ''}"


Ranking = Mapping[str, Correlations]
"""Correlations by split."""


def correlate(measured: NDArray[np.float64], predicted: NDArray[np.float64]) -> Correlations:
    """Kendall's tau-b and Spearman's rho, ``(n,), (n,)``; the one place that says what constant predictions are."""
    from scipy.stats import kendalltau, spearmanr

    n = len(measured)
    if n < MIN_RANKED:
        return Correlations(schedules=n, kendall_tau=None, spearman=None)
    if (predicted == predicted[0]).all() or (measured == measured[0]).all():
        return Correlations(schedules=n, kendall_tau=0.0, spearman=0.0, constant=True)
    tau, rho = kendalltau(measured, predicted).statistic, spearmanr(measured, predicted).statistic
    return Correlations(schedules=n, kendall_tau=float(tau), spearman=float(rho))


def correlations(predictor: Predictor, X: Schedules, y: NDArray[np.float64]) -> Correlations:
    """:func:`correlate` for a fitted predictor and schedules ``(n, L)`` with scores ``(n,)``."""
    return correlate(y, predictor.predict(X))


def ranking(predictor: Predictor, dataset: ScheduleDataset) -> dict[str, Correlations]:
    """Correlations on each held-out split of two schedules or more."""
    parts = {split: dataset.subset(split) for split in HELD_OUT}
    return {split: correlations(predictor, part.X, part.y) for split, part in parts.items() if len(part) >= MIN_RANKED}


def ranking_line(name: str, ranking: Ranking) -> str:
    """How well a predictor ranks held-out schedules, in one line."""
    parts = [f"{split} ({of_split.schedules} schedules): {of_split.words}" for split, of_split in ranking.items()]
    return f"{name} on held-out schedules: {'; '.join(parts) if parts else 'the benchmark has none'}"


def fit(predictor: Predictor, benchmark: Benchmark, train: ScheduleDataset) -> Predictor:
    """Fits a predictor on ``train``, with the validation split for its own tuning."""
    validation = benchmark.dataset.subset("validation")
    if len(validation):
        return predictor.fit(train.X, train.y, X_validation=validation.X, y_validation=validation.y)
    return predictor.fit(train.X, train.y)
