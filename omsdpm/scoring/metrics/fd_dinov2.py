"""``fd-dinov2``: the Fréchet distance in the features of DINOv2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omsdpm.plugins import Named
from omsdpm.scoring.metrics.fd import FrechetMetric

if TYPE_CHECKING:
    from omsdpm.scoring.metrics.context import Context


class DinoMetric(FrechetMetric):
    """The Fréchet distance in DINOv2 ViT-L/14 features, nearer to what people see (Stein et al., arXiv:2306.04675).

    Args:
        weights: file with the network's weights instead of a download.
        context: has the real images.

    Raises:
        InputError: the weights or the real images cannot be used, or torch-fidelity is not installed.
    """

    files = ("weights",)

    def __init__(self, weights: str | None = None, *, context: Context) -> None:
        super().__init__(self.feature_network(weights=weights), context=context)

    @classmethod
    def feature_network(cls, **parameters: Any) -> str:
        return str(Named("dinov2", {key: value for key, value in parameters.items() if value is not None}))
