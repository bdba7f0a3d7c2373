"""Where evaluations stand on the noise axis: questions of batch plans."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from omsdpm.solvers import BatchPlan

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def piecewise(batch: BatchPlan, values: NDArray, grid: Array) -> NDArray:
    """``(n, E), (Q,) -> (n, Q)``: the value of the last evaluation at or before each grid position.

    Before the first evaluation nothing has moved yet, so its own value holds there.
    """
    count = (batch.position[:, :, None] <= grid) & batch.active[:, :, None]
    last = np.maximum(count.sum(axis=1) - 1, 0)
    return np.take_along_axis(values, last, axis=1)
