"""Schedules with one step a slot, solved by multistep DPM-Solver++ (2M)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from omsdpm.spaces.ddim import DDIMSpace


@dataclass(frozen=True)
class MultistepSpace(DDIMSpace):
    """The slots of :class:`DDIMSpace`, second order across steps (Lu et al., arXiv:2211.01095)."""

    solver: ClassVar[str] = "dpm-solver++"
