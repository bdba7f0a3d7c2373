"""What metrics share that compare images with those of one member that takes every step, from the same noise."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from omsdpm.errors import InputError
from omsdpm.scoring.metrics.base import Metric
from omsdpm.scoring.metrics.mean import RunningMean

if TYPE_CHECKING:
    import torch

    from omsdpm.scoring.metrics.context import Context


class PairedMetric(Metric):
    """Mean over images of how each compares with that of a reference member from the same noise.

    Args:
        member: number of the reference member, as schedules have it.
        context: knows the schedules, and samples that member's.

    Raises:
        InputError: no such member, or no schedules.
    """

    NAME: ClassVar[str]
    """For errors."""

    def __init__(self, member: int, *, context: Context) -> None:
        space = context.space
        if space is None:
            raise InputError(f"metric {self.NAME!r} compares schedules: images alone have no reference member")
        if not isinstance(member, int) or isinstance(member, bool) or not 1 <= member <= space.num_models:
            raise InputError(f"metric {self.NAME!r}: member = {member!r}, expected one of 1..{space.num_models}")
        self.context = context
        self.schedule = np.full(space.length, member, dtype=np.int64)
        self.values = RunningMean()

    @abstractmethod
    def compare(self, images: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """``(b, C, H, W)`` images in ``[-1, 1]`` and those of the reference member: ``(b,)``."""

    def update(self, images: torch.Tensor, first: int) -> None:
        wanted = self.context.same_noise(self.schedule)
        self.values.update(self.compare(images.clamp(-1, 1), wanted.clamp(-1, 1)).double().cpu().numpy())

    def merge(self, other: PairedMetric) -> None:
        self.values.merge(other.values)

    def value(self) -> float:
        return self.values.value()

    def error(self) -> float | None:
        return self.values.error()
