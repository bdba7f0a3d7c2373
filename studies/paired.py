"""Means of few values with their intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95


def mean_and_margin(values: NDArray[np.float64], level: float = CONFIDENCE) -> tuple[float, float]:
    """Mean of ``(s,)`` independent values, and half the width of its confidence interval by Student's t.

    One value has no margin: 0.
    """
    from scipy.stats import t

    if len(values) < 2:
        return float(values.mean()), 0.0
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(t.ppf(0.5 + level / 2, len(values) - 1) * error)
