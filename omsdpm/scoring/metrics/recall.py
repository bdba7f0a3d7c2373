"""``recall``: how many real images lie among the sampled ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omsdpm.scoring.metrics.kept import KeptFeatures, whole
from omsdpm.scoring.metrics.neighbors import covered, squared_radii

if TYPE_CHECKING:
    from omsdpm.scoring.metrics.context import Context


class RecallMetric(KeptFeatures):
    """The share of real images in the manifold of the sampled ones (Kynkäänniemi et al., arXiv:1904.06991).

    It says how much of what is real is sampled. It depends on the number of images: with fewer of them the
    balls are larger, so compare recalls of equal numbers.

    Args:
        features: the network, ``name[param=value,...]`` or ``module:function``.
        k: a ball around a sampled image reaches to its k-th nearest neighbor.
        context: has the real images.

    Raises:
        InputError: the network or the real images cannot be used, there are ``k`` or fewer, or ``k`` is none.
    """

    NAME = "recall"
    higher_is_better = True

    def __init__(self, features: str = "inception", k: int = 3, *, context: Context) -> None:
        self.k = whole(self.NAME, "k", k, 1)
        super().__init__(features, self.k + 1, context=context)

    def value(self) -> float:
        center = self.real.mean(axis=0)  # distances are the same, with fewer digits lost
        sampled = self.sampled() - center
        return float(covered(self.real - center, sampled, squared_radii(sampled, self.k)).mean())
