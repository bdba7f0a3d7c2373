"""``kid``: the kernel inception distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.fid.frechet import real_array
from omsdpm.scoring.metrics.base import Metric

if TYPE_CHECKING:
    import torch

    from omsdpm.scoring.metrics.context import Context

Array = NDArray[np.float64]

ROWS = 1000
"""Rows of the kernel matrix that are in memory at once."""

SEED = 2020
"""Of the subsets; torch-fidelity's."""


class KIDMetric(Metric):
    """The kernel inception distance, without bias (Binkowski et al., arXiv:1801.01401, eq. 4).

    The squared maximum mean discrepancy of the polynomial kernel ``(x . y / d + 1)^3``. It is 0 on
    average for images of the real distribution, so it may be a little below 0.

    Args:
        features: the network, ``name[param=value,...]`` or ``module:function``.
        subsets: mean over so many random subsets, as papers report it; 0 takes all images at once,
            which varies least.
        subset_size: images of each side in a subset.
        context: has the real images.

    Raises:
        InputError: the network or the real images cannot be used, fewer real images than a subset has,
            or sizes of subsets that are none.
    """

    takes_reference = True

    def __init__(
        self, features: str = "inception", subsets: int = 0, subset_size: int = 1000, *, context: Context
    ) -> None:
        for name, value, least in (("subsets", subsets, 0), ("subset_size", subset_size, 2)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InputError(f"metric 'kid': {name} = {value!r}, expected a whole number of at least {least}")
        self.network: Any = context.features(features)
        self.real = context.real_features(features)
        needed = subset_size if subsets else 2
        if len(self.real) < needed:
            raise InputError(f"metric 'kid': {len(self.real)} real images, expected at least {needed}")
        self.subsets, self.subset_size = subsets, subset_size
        self.within_real = context.once(("kid", features), lambda: _within(self.real)) if not subsets else np.nan
        self.parts: list[tuple[int, Array]] = []

    @classmethod
    def feature_network(cls, **parameters: Any) -> str:
        return str(parameters.get("features", "inception"))

    def update(self, images: torch.Tensor, first: int) -> None:
        rows = real_array(self.network(images), "feature matrix")
        if rows.shape != (len(images), self.real.shape[1]):
            raise InputError(
                f"metric 'kid': features of shape {rows.shape} for {len(images)} images: "
                f"expected ({len(images)}, {self.real.shape[1]}), one row an image"
            )
        self.parts.append((first, rows))

    def merge(self, other: KIDMetric) -> None:
        self.parts += other.parts

    def value(self) -> float:
        # In the order of the images, whoever took them in first: subsets are drawn by number.
        parts = [rows for _, rows in sorted(self.parts, key=lambda part: part[0])]
        sampled = np.concatenate(parts) if parts else np.empty((0, self.real.shape[1]))
        needed = self.subset_size if self.subsets else 2
        if len(sampled) < needed:
            raise InputError(f"metric 'kid': {len(sampled)} images, expected at least {needed}")
        if not self.subsets:
            return _within(sampled) + self.within_real - 2 * _across(sampled, self.real)
        rng = np.random.RandomState(SEED)
        values = []
        for _ in range(self.subsets):
            x = sampled[rng.choice(len(sampled), self.subset_size, replace=False)]
            y = self.real[rng.choice(len(self.real), self.subset_size, replace=False)]
            values.append(_within(x) + _within(y) - 2 * _across(x, y))
        return float(np.mean(values))


def _kernel(x: Array, y: Array) -> Array:
    kernel: Array = (x @ y.T / x.shape[1] + 1.0) ** 3
    return kernel


def _within(x: Array) -> float:
    """The mean kernel of two different rows of ``(n, d)``."""
    total = sum(float(_kernel(x[at : at + ROWS], x).sum()) for at in range(0, len(x), ROWS))
    diagonal = float(((np.einsum("nd,nd->n", x, x) / x.shape[1] + 1.0) ** 3).sum())
    return (total - diagonal) / (len(x) * (len(x) - 1))


def _across(x: Array, y: Array) -> float:
    """The mean kernel of a row of ``(n, d)`` and one of ``(m, d)``."""
    total = sum(float(_kernel(x[at : at + ROWS], y).sum()) for at in range(0, len(x), ROWS))
    return total / (len(x) * len(y))
