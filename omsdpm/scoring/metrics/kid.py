"""``kid``: the kernel inception distance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from omsdpm.scoring.metrics.kept import Array, whole
from omsdpm.scoring.metrics.kernel import KernelMetric

if TYPE_CHECKING:
    from omsdpm.scoring.metrics.context import Context

SEED = 2020
"""Of the subsets; torch-fidelity's."""


class KIDMetric(KernelMetric):
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

    NAME = "kid"
    UNBIASED = True

    def __init__(
        self, features: str = "inception", subsets: int = 0, subset_size: int = 1000, *, context: Context
    ) -> None:
        self.subsets, self.subset_size = (
            whole("kid", "subsets", subsets, 0),
            whole("kid", "subset_size", subset_size, 2),
        )
        super().__init__(features, subset_size if subsets else 2, "polynomial", context=context)

    def kernel(self, x: Array, y: Array) -> Array:
        kernel: Array = (x @ y.T / x.shape[1] + 1.0) ** 3
        return kernel

    def diagonal(self, x: Array) -> Array:
        diagonal: Array = (np.einsum("nd,nd->n", x, x) / x.shape[1] + 1.0) ** 3
        return diagonal

    def value(self) -> float:
        return float(np.mean(self._of_subsets())) if self.subsets else super().value()

    def error(self) -> float | None:
        """That of all images at once, and what the draw of the subsets adds to it."""
        error = super().error()
        if error is None or self.subsets < 2:
            return error
        return math.hypot(error, float(np.std(self._of_subsets(), ddof=1)) / math.sqrt(self.subsets))

    def _of_subsets(self) -> list[float]:
        sampled, rng, values = self.sampled(), np.random.RandomState(SEED), []
        for _ in range(self.subsets):
            x = sampled[rng.choice(len(sampled), self.subset_size, replace=False)]
            y = self.real[rng.choice(len(self.real), self.subset_size, replace=False)]
            values.append(self._within(x) + self._within(y) - 2 * float(self.kernel(x, y).mean()))
        return values

    def _within(self, x: Array) -> float:
        return float(self.kernel(x, x).sum() - self.diagonal(x).sum()) / (len(x) * (len(x) - 1))
