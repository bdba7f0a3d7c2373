"""``fid-inf``: the Fréchet inception distance that infinitely many images would have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omsdpm.scoring.metrics.fd_inf import FrechetLimitMetric
from omsdpm.scoring.metrics.fid import FIDMetric

if TYPE_CHECKING:
    from omsdpm.scoring.metrics.context import Context


class FIDLimitMetric(FrechetLimitMetric):
    """FID without the bias of few images (Chong and Forsyth, arXiv:1911.07023); 8,192 images or more.

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
        return FIDMetric.feature_network(**parameters)
