"""``cmmd``: the maximum mean discrepancy of a Gaussian kernel on CLIP embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omsdpm.scoring.metrics.kept import Array, positive, squared_distances
from omsdpm.scoring.metrics.kernel import KernelMetric

if TYPE_CHECKING:
    from omsdpm.scoring.metrics.context import Context


class CMMDMetric(KernelMetric):
    """The squared maximum mean discrepancy of a Gaussian kernel (Jayasumana et al., arXiv:2401.09603).

    ``scale`` times the discrepancy of ``exp(-|x - y|^2 / (2 sigma^2))``, by the estimate of the authors'
    code, in which an image is paired with itself too.

    Args:
        features: the network, ``name[param=value,...]`` or ``module:function``; the authors' is CLIP's
            ViT-L/14 at 336 pixels, its embeddings of unit length.
        sigma: of the kernel, in units of the features.
        scale: times this, so that figures are easy to read.
        context: has the real images.

    Raises:
        InputError: the network or the real images cannot be used, or a parameter is no positive number.
    """

    NAME = "cmmd"
    FEATURES = "clip[unit=true]"
    UNBIASED = False

    def __init__(
        self, features: str = "clip[unit=true]", sigma: float = 10.0, scale: float = 1000.0, *, context: Context
    ) -> None:
        self.sigma, self.scale = positive("cmmd", "sigma", sigma), positive("cmmd", "scale", scale)
        super().__init__(features, 2, self.sigma, context=context)

    def kernel(self, x: Array, y: Array) -> Array:
        kernel: Array = np.exp(squared_distances(x, y) / (-2 * self.sigma**2))
        return kernel

    def diagonal(self, x: Array) -> Array:
        return np.ones(len(x))

    def value(self) -> float:
        return self.scale * super().value()

    def error(self) -> float | None:
        error = super().error()
        return None if error is None else self.scale * error
