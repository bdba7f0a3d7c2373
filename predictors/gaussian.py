"""What a schedule's solver would make of Gaussian data, as predictors look at it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

VARIANCES = np.array([1e-3, 0.016, 0.2, 4.0])
"""Of Gaussian data that schedules are tried on; images in [-1, 1] have directions of all of them."""

SMALLEST_RATIO = 0.02
"""Keeps the logarithm finite where steps happen to cancel."""


def log_ratio(scale: Array, variances: Array = VARIANCES) -> Array:
    """Logarithm of samples' standard deviations ``(..., V)`` over the data's.

    Args:
        scale: ``(..., V)``, :attr:`omsdpm.solvers.batch.Flow.scale`.
        variances: ``(V,)`` of the data.
    """
    return np.log(np.maximum(np.abs(scale) / np.sqrt(variances), SMALLEST_RATIO))
