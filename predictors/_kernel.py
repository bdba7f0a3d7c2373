"""A covariance of schedules: who covers the lambda axis, and how finely it is stepped."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel, NormalizedKernelMixin, StationaryKernelMixin

from omsdpm.noise import Noise
from omsdpm.spaces import DPMSolverSpace, ScheduleSpace
from predictors._axis import Ints, Steps, piecewise, steps_of

Array = NDArray[np.float64]

GRID = 32
"""Positions on the lambda axis at which schedules are compared."""

THIRDS = 3
"""Parts of the axis whose step sizes have their own length scale."""

SMALLEST_GAP = 1e-3
"""Of the lambda axis; keeps logarithms of gaps finite."""


def kernel_coordinates(X: Ints, space: ScheduleSpace, noise: Noise) -> tuple[Array, tuple[int, ...]]:
    """Canonical schedules ``(n, L)`` as coordinates ``(n, F)`` in groups of the returned widths.

    A group for every member: the indicator function of where it covers the axis; so two
    schedules are apart by how much of the axis different members cover, each pair of members by
    its own amount. Then the log gap function in thirds of the axis, the ends, and the
    order function of DPM-Solvers. Functions are scaled by ``1 / sqrt(size)``, which
    makes squared distances averages over the axis.
    """
    steps = steps_of(X, space, noise)
    grid = (np.arange(GRID) + 0.5) / GRID
    member = piecewise(steps, steps.member, grid)  # (n, Q)
    groups = [(member == k) / np.sqrt(GRID) for k in range(1, space.num_models + 1)]
    log_gap = np.log(np.maximum(piecewise(steps, steps.gaps, grid), SMALLEST_GAP))
    groups += [part / np.sqrt(part.shape[1]) for part in np.array_split(log_gap, THIRDS, axis=1)]
    groups.append(_ends(steps))
    if isinstance(space, DPMSolverSpace):
        groups.append(piecewise(steps, steps.order, grid) / np.sqrt(GRID))
    return np.concatenate(groups, axis=1).astype(float), tuple(group.shape[1] for group in groups)


def _ends(steps: Steps) -> Array:
    """Number of steps and what is left before the first and after the last, ``(n, 3)``, as logarithms."""
    count = steps.active.sum(axis=1)
    last = np.take_along_axis(steps.gaps, count[:, None] - 1, axis=1)[:, 0]
    return np.log(np.column_stack([count, np.maximum(steps.position[:, 0], 0) + 0.05, np.maximum(last, SMALLEST_GAP)]))


class GroupedMatern(StationaryKernelMixin, NormalizedKernelMixin, Kernel):
    """Matérn 5/2 with a length scale for each group of coordinates.

    ``k = (1 + a + a^2 / 3) exp(-a)`` with ``a = sqrt(5 d2)`` and
    ``d2 = sum_g |x_g - x'_g|^2 / length_scale_g^2``.

    Args:
        widths: number of coordinates in each group.
        length_scale: ``(G,)``, one a group.
        length_scale_bounds: of all of them.
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        length_scale: Any = 1.0,
        length_scale_bounds: tuple[float, float] = (3e-2, 1e3),
    ) -> None:
        self.widths = widths
        self.length_scale = length_scale
        self.length_scale_bounds = length_scale_bounds

    @property
    def hyperparameter_length_scale(self) -> Hyperparameter:
        return Hyperparameter("length_scale", "numeric", self.length_scale_bounds, len(self.widths))

    def __call__(self, X: Array, Y: Array | None = None, eval_gradient: bool = False) -> Any:
        """``(n, F), (m, F) -> (n, m)``, and with ``eval_gradient`` that by the log length scales ``(n, n, G)``."""
        scales = np.broadcast_to(np.asarray(self.length_scale, dtype=float), len(self.widths))
        if not eval_gradient:
            weights = np.repeat(1 / scales, self.widths)
            return _matern(_squared_distance(X * weights, None if Y is None else Y * weights))[0]
        ends = np.cumsum((0, *self.widths))
        parts = [
            _squared_distance(X[:, start:end] / scale)
            for start, end, scale in zip(ends, ends[1:], scales, strict=False)
        ]
        K, slope = _matern(np.sum(parts, axis=0))
        # d d2_g / d log scale_g = -2 d2_g
        return K, np.stack([-2 * slope * part for part in parts], axis=-1)


def _matern(squared: Array) -> tuple[Array, Array]:
    """Matérn 5/2 of squared distances, and its derivative by them."""
    a = np.sqrt(5 * squared)
    decay = np.exp(-a)
    return (1 + a + a**2 / 3) * decay, -5 / 6 * (1 + a) * decay


def _squared_distance(A: Array, B: Array | None = None) -> Array:
    """``(n, F), (m, F) -> (n, m)``, exactly zero from a row to itself."""
    B_ = A if B is None else B
    squared = (A**2).sum(axis=1)[:, None] + (B_**2).sum(axis=1) - 2 * A @ B_.T
    np.maximum(squared, 0, out=squared)
    if B is None:
        np.fill_diagonal(squared, 0)
    return squared
