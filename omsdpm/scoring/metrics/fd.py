"""``fd``: the Fréchet distance in the features of any network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omsdpm.fid import Moments
from omsdpm.scoring.metrics.base import Metric

if TYPE_CHECKING:
    import torch

    from omsdpm.scoring.metrics.context import Context


class ToReference(Metric):
    """What Fréchet distances share: the statistics of real images, in the features of a network.

    Args:
        features: the network, ``name[param=value,...]`` or ``module:function``.
        context: has the real images.

    Raises:
        InputError: the network or the real images cannot be used.
    """

    takes_reference = True

    def __init__(self, features: str, *, context: Context) -> None:
        self.network: Any = context.features(features)
        self.reference = context.statistics(features)

    @classmethod
    def feature_network(cls, **parameters: Any) -> str | None:
        return str(parameters["features"])


class FrechetMetric(ToReference):
    """The Fréchet distance to the real images in the features of any network.

    Dowson and Landau, 1982. Of the features only mean and covariance are kept.

    Args:
        features: the network, ``name[param=value,...]`` or ``module:function``.
        context: has the real images.

    Raises:
        InputError: the network or the real images cannot be used.
    """

    def __init__(self, features: str, *, context: Context) -> None:
        super().__init__(features, context=context)
        self.moments = Moments()

    def update(self, images: torch.Tensor, first: int) -> None:
        self.moments.update(self.network(images))

    def merge(self, other: FrechetMetric) -> None:
        self.moments.merge(other.moments)

    def value(self) -> float:
        return self.reference.distance(self.moments.statistics())
