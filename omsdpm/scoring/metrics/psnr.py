"""``psnr``: how near images are to those of one member that takes every step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from omsdpm.errors import InputError
from omsdpm.scoring.metrics.base import Metric

if TYPE_CHECKING:
    import torch

    from omsdpm.scoring.metrics.context import Context

RANGE = 2.0
"""Of pixels, from -1 to 1."""

LEAST_ERROR = (RANGE / 255) ** 2 / 12
"""Mean squared error of rounding to bytes, 58.9 dB: images that differ less are the same, and no score is infinite."""


class PSNRMetric(Metric):
    """Peak signal-to-noise ratio in dB, mean over images, to one member in every slot from the same noise.

    Needs no real images. Pixels are clipped to ``[-1, 1]`` first; 58.9 dB, the error of 8 bits, is the most.

    Args:
        member: number of the reference member, as schedules have it.
        context: knows the schedules, and samples that member's.

    Raises:
        InputError: no such member.
    """

    higher_is_better = True

    def __init__(self, member: int, *, context: Context) -> None:
        space = context.space
        if space is None:
            raise InputError("metric 'psnr' compares schedules: images alone have no reference member")
        if not isinstance(member, int) or isinstance(member, bool) or not 1 <= member <= space.num_models:
            raise InputError(f"metric 'psnr': member = {member!r}, expected one of 1..{space.num_models}")
        self.context = context
        self.schedule = np.full(space.length, member, dtype=np.int64)
        self.total, self.count = 0.0, 0

    def update(self, images: torch.Tensor, first: int) -> None:
        wanted = self.context.same_noise(self.schedule)
        error = (images.clamp(-1, 1).double() - wanted.clamp(-1, 1).double()).flatten(1).square().mean(dim=1)
        self.total += float((10 * (RANGE**2 / error.clamp(min=LEAST_ERROR)).log10()).sum())
        self.count += len(images)

    def merge(self, other: PSNRMetric) -> None:
        self.total, self.count = self.total + other.total, self.count + other.count

    def value(self) -> float:
        return self.total / self.count if self.count else math.nan
