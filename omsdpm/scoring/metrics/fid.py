"""``fid``: the Fréchet inception distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omsdpm.plugins import Named
from omsdpm.scoring.metrics.fd import FrechetMetric, ToReference

if TYPE_CHECKING:
    from omsdpm.scoring.metrics.context import Context


class InInception(ToReference):
    """A Fréchet distance in InceptionV3's pool features, to stand before the kind of distance.

    Args:
        weights: file with the network's weights instead of the usual download.
        context: has the real images.

    Raises:
        InputError: the weights or the real images cannot be used.
    """

    files = ("weights",)

    def __init__(self, weights: str | None = None, *, context: Context) -> None:
        super().__init__(self.feature_network(weights=weights), context=context)

    @classmethod
    def feature_network(cls, **parameters: Any) -> str:
        return str(Named("inception", {key: value for key, value in parameters.items() if value is not None}))


class FIDMetric(InInception, FrechetMetric):
    """The Fréchet distance in InceptionV3's pool features (Heusel et al., arXiv:1706.08500).

    Args:
        weights: file with the network's weights instead of the usual download.
        context: has the real images.

    Raises:
        InputError: the weights or the real images cannot be used.
    """
