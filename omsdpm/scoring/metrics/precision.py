"""``precision``: how many images lie among the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omsdpm.scoring.metrics.kept import KeptFeatures, whole
from omsdpm.scoring.metrics.mean import RunningMean
from omsdpm.scoring.metrics.neighbors import covered, squared_radii

if TYPE_CHECKING:
    from omsdpm.scoring.metrics.context import Context


class PrecisionMetric(KeptFeatures):
    """The share of sampled images in the manifold of the real ones (Kynkäänniemi et al., arXiv:1904.06991).

    It says how many images are good, and nothing of how different they are from each other: see ``recall``.

    Args:
        features: the network, ``name[param=value,...]`` or ``module:function``.
        k: a ball around a real image reaches to its k-th nearest neighbor.
        context: has the real images.

    Raises:
        InputError: the network or the real images cannot be used, there are ``k`` or fewer, or ``k`` is none.
    """

    NAME = "precision"
    higher_is_better = True

    def __init__(self, features: str = "inception", k: int = 3, *, context: Context) -> None:
        self.k = whole(self.NAME, "k", k, 1)
        super().__init__(features, self.k + 1, context=context)
        self.center = self.real.mean(axis=0)  # distances are the same, with fewer digits lost
        self.radii = context.once(
            ("squared radii", features, self.k), lambda: squared_radii(self.real - self.center, self.k)
        )

    def value(self) -> float:
        return self._share().value()

    def error(self) -> float | None:
        return self._share().error()

    def _share(self) -> RunningMean:
        share = RunningMean()
        share.update(covered(self.sampled() - self.center, self.real - self.center, self.radii).astype(np.float64))
        return share
