"""Model schedules as categorical search spaces.

A batch of schedules is an integer array ``(n, L)``: ``0`` is the null model (the
slot is skipped), ``1..M`` name a zoo member, and index 0 is the image end.
"""

from omsdpm.spaces._base import Schedules, ScheduleSpace
from omsdpm.spaces._factory import SOLVERS, make_space
from omsdpm.spaces.ddim import DDIMSpace
from omsdpm.spaces.dpm_solver import GROUP, DPMSolverSpace
from omsdpm.spaces.multistep import MultistepSpace

__all__ = [
    "GROUP",
    "SOLVERS",
    "DDIMSpace",
    "DPMSolverSpace",
    "MultistepSpace",
    "ScheduleSpace",
    "Schedules",
    "make_space",
]
