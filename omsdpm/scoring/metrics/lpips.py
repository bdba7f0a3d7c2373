"""``lpips``: how much images look like those of one member that takes every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omsdpm.errors import InputError
from omsdpm.scoring.metrics.kept import whole
from omsdpm.scoring.metrics.paired import PairedMetric

if TYPE_CHECKING:
    import torch

    from omsdpm.scoring.metrics.context import Context


class LPIPSMetric(PairedMetric):
    """Learned perceptual distance on VGG16, mean over images, to one member in every slot from the same noise.

    Zhang et al., arXiv:1801.03924, version 0.1. Needs no real images; gray ones are repeated to three channels.

    Args:
        member: number of the reference member, as schedules have it.
        weights: file with the weights of the layers' differences, ``vgg.pth``, instead of that of an installed
            lpips or torchmetrics, or torch-fidelity's download.
        backbone: file with VGG16's weights, ``vgg16-397923af.pth``, instead of torchvision's download.
        resize: images are resized to so many pixels first; as they are without it.
        context: knows the schedules, and samples that member's.

    Raises:
        InputError: no such member, weights that cannot be used, or images that are too small.
    """

    NAME = "lpips"
    LEFT_BEHIND = (*PairedMetric.LEFT_BEHIND, "distance")
    files = ("weights", "backbone")

    def __init__(
        self,
        member: int,
        weights: str | None = None,
        backbone: str | None = None,
        resize: int | None = None,
        *,
        context: Context,
    ) -> None:
        from omsdpm.scoring.features.lpips import LEAST, PerceptualDistance

        super().__init__(member, context=context)
        self.resize = None if resize is None else whole("lpips", "resize", resize, LEAST)
        if (size := min(context.shape[1:])) < LEAST and resize is None:
            raise InputError(
                f"metric 'lpips': images of {size} pixels are smaller than {LEAST}, which VGG16 needs: "
                "give lpips[member=...,resize=64]"
            )
        self.distance = context.once(
            ("lpips", weights, backbone), lambda: PerceptualDistance(context.device, weights, backbone)
        )

    def compare(self, images: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        distances: torch.Tensor = self.distance(images, wanted, self.resize)
        return distances
