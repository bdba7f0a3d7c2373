"""A mean over images that come in batches, and its standard error."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike


class RunningMean:
    """Mean and standard error of one number an image, merged by centered sums (Chan, Golub and LeVeque, 1983)."""

    def __init__(self) -> None:
        self.count, self.mean, self.scatter = 0, 0.0, 0.0

    def update(self, values: ArrayLike) -> None:
        """Takes in ``(b,)`` numbers."""
        batch = np.asarray(values, dtype=np.float64)
        if len(batch):
            mean = float(batch.mean())
            self._add(len(batch), mean, float(((batch - mean) ** 2).sum()))

    def merge(self, other: RunningMean) -> None:
        """Takes in what another one took in."""
        if other.count:
            self._add(other.count, other.mean, other.scatter)

    def value(self) -> float:
        """The mean; NaN of nothing."""
        return self.mean if self.count else math.nan

    def error(self) -> float | None:
        """The standard error of the mean; ``None`` of fewer than two."""
        return math.sqrt(self.scatter / (self.count - 1) / self.count) if self.count > 1 else None

    def _add(self, count: int, mean: float, scatter: float) -> None:
        total = self.count + count
        delta = mean - self.mean
        self.scatter += scatter + delta**2 * self.count * count / total
        self.mean += delta * count / total
        self.count = total
