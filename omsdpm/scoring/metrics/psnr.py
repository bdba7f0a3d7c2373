"""``psnr``: how near images are to those of one member that takes every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omsdpm.scoring.metrics.paired import PairedMetric

if TYPE_CHECKING:
    import torch

RANGE = 2.0
"""Of pixels, from -1 to 1."""

LEAST_ERROR = (RANGE / 255) ** 2 / 12
"""Mean squared error of rounding to bytes, 58.9 dB: images that differ less are the same, and no score is infinite."""


class PSNRMetric(PairedMetric):
    """Peak signal-to-noise ratio in dB, mean over images, to one member in every slot from the same noise.

    Needs no real images. Pixels are clipped to ``[-1, 1]`` first; 58.9 dB, the error of 8 bits, is the most.

    Args:
        member: number of the reference member, as schedules have it.
        context: knows the schedules, and samples that member's.

    Raises:
        InputError: no such member.
    """

    NAME = "psnr"
    higher_is_better = True

    def compare(self, images: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        error = (images.double() - wanted.double()).flatten(1).square().mean(dim=1)
        return 10 * (RANGE**2 / error.clamp(min=LEAST_ERROR)).log10()
