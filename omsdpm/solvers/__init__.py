"""Solvers as data: schedules as categorical search spaces, and the plans that they compile to.

A batch of schedules is an integer array ``(n, L)``: ``0`` is the null model (the slot is
skipped), ``1..M`` name a zoo member, and index 0 is the image end. A schedule compiles to a
:class:`Plan` of stages and weights.
"""

from omsdpm.solvers.compile import compile_plan
from omsdpm.solvers.ddim import DDIMSpace
from omsdpm.solvers.dpm_solver import GROUP, SPACINGS, DPMSolverSpace, Spacing, time_end
from omsdpm.solvers.multistep import MultistepSpace
from omsdpm.solvers.plan import Combination, Plan, Stage
from omsdpm.solvers.registry import SOLVERS, make_space
from omsdpm.solvers.space import Schedules, ScheduleSpace

__all__ = [
    "GROUP",
    "SOLVERS",
    "SPACINGS",
    "Combination",
    "DDIMSpace",
    "DPMSolverSpace",
    "MultistepSpace",
    "Plan",
    "ScheduleSpace",
    "Schedules",
    "Spacing",
    "Stage",
    "compile_plan",
    "make_space",
    "time_end",
]
