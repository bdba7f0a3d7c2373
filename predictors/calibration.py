"""A rising curve from a network's ranking scores to the scale of measured ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

KNOTS = 24
"""Bins of equally many schedules whose means the curve goes through."""

HALF_WIDTHS = np.array([0.6745, 1.6449])
"""Of the central 50 % and 90 % of the standard normal law."""

LEAST_RISE = 1e-6
"""Rise from knot to knot where the measured means do not rise, so that no rank is lost."""


@dataclass(frozen=True)
class RisingCurve:
    """Piecewise linear through knots that rise in both coordinates; its end pieces go on.

    A ranking loss fixes the order of scores and nothing else. A curve instead of a line
    keeps the scale right among the good schedules, which a search is about.

    Attributes:
        raw, z: ``(k,)`` coordinates of the knots, k at least 2.
    """

    raw: Array
    z: Array

    @classmethod
    def identity(cls) -> RisingCurve:
        """Maps every score to itself."""
        return cls(np.array([0.0, 1.0]), np.array([0.0, 1.0]))

    @classmethod
    def fit(cls, raw: Array, z: Array) -> RisingCurve:
        """The curve through the bin means of ``raw`` and ``z``, ``(n,)`` each."""
        order = np.argsort(raw, kind="stable")
        bins = np.array_split(order, min(KNOTS, max(2, len(raw) // 4)))
        x = np.array([raw[rows].mean() for rows in bins if len(rows)])
        y = np.array([z[rows].mean() for rows in bins if len(rows)])
        x, first = np.unique(x, return_index=True)
        y = y[first]
        if len(x) < 2:  # scores that do not differ, as after constant targets
            return cls(x[0] + np.array([0.0, 1.0]), float(z.mean()) + np.array([0.0, 1.0]))
        return cls(x, np.maximum.accumulate(y) + LEAST_RISE * np.arange(len(y)))

    @classmethod
    def checked(cls, raw: ArrayLike, z: ArrayLike) -> RisingCurve:
        """A curve that was saved.

        Raises:
            ValueError: coordinates that are no knots of one.
        """
        x, y = np.array(raw), np.array(z)
        if x.dtype != np.float64 or y.dtype != np.float64 or x.ndim != 1 or x.shape != y.shape or len(x) < 2:
            raise ValueError(f"knots of shapes {x.shape} and {y.shape}, expected two rows of as many numbers")
        if not (np.isfinite(x).all() and np.isfinite(y).all() and (np.diff(x) > 0).all() and (np.diff(y) >= 0).all()):
            raise ValueError("knots of a rising curve do not rise")
        return cls(x, y)

    def __call__(self, raw: Array) -> Array:
        """``(n,) -> (n,)``."""
        piece = np.clip(np.searchsorted(self.raw, raw) - 1, 0, len(self.raw) - 2)
        slope = np.diff(self.z) / np.diff(self.raw)
        return self.z[piece] + slope[piece] * (raw - self.raw[piece])


def normal_scale(residual: Array) -> float:
    """The standard deviation of a normal law whose central 50 % and 90 % hold about these many residuals.

    Errors of predictors have heavier tails than a normal law; the usual standard deviation
    would follow a few bad schedules and make every interval too wide.
    """
    half, most = np.quantile(np.abs(residual), [0.5, 0.9]) / HALF_WIDTHS
    return float(0.5 * (half + most))
