"""How a solver is to run, where it can run in several ways."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omsdpm.noise import Noise

DEFAULT_SPACING = "logSNR"


@dataclass(frozen=True)
class SolverOptions:
    """What is the same for all schedules of a measurement; what predictors are told too.

    Attributes:
        spacing: how a solver that places its steps itself spreads them: one of its
            :attr:`~omsdpm.solvers.ScheduleSpace.spacings`.
        eta: fresh noise that is added a step, from 0 (deterministic) to 1 (ancestral); DDIM only.
        t_end: the last time, for DDIM and DPM-Solver; ``None`` leaves the choice to them, DDIM ends in the image.
    """

    spacing: str = DEFAULT_SPACING
    eta: float = 0.0
    t_end: float | None = None


USUAL = SolverOptions()
"""What every solver does where nothing is said."""


def end_level(noise: Noise, t_end: float | None) -> tuple[float, float, float]:
    """``alpha``, ``sigma`` and ``lambda`` of the last time; of the image itself where there is none."""
    if t_end is None:
        return 1.0, 0.0, math.inf
    return float(noise.alpha(t_end)), float(noise.sigma(t_end)), float(noise.lam(t_end))
