"""Solvers as data: schedules as categorical search spaces, and the plans that they compile to.

A batch of schedules is an integer array ``(n, L)``: ``0`` is the null model (the slot is
skipped), ``1..M`` name a zoo member, and index 0 is the image end. A schedule compiles to a
:class:`Plan` of stages and weights. Each solver has a room: its file holds which arrays are
its schedules, and its plan. Solvers are found by name through the entry-point group
``omsdpm.solvers``.
"""

from omsdpm.solvers.batch import BatchPlan
from omsdpm.solvers.compile import compile_plan, compile_plans
from omsdpm.solvers.ddim import DDIMSpace
from omsdpm.solvers.dpm_solver import DPMSolverSpace
from omsdpm.solvers.multistep import MultistepSpace
from omsdpm.solvers.options import USUAL, SolverOptions
from omsdpm.solvers.plan import Combination, Plan, Stage
from omsdpm.solvers.registry import make_space, solver_class, solver_names, space_from_table, space_on
from omsdpm.solvers.slots import SlotSpace
from omsdpm.solvers.space import Schedule, Schedules, ScheduleSpace
from omsdpm.solvers.unipc import UniPCSpace

__all__ = [
    "USUAL",
    "BatchPlan",
    "Combination",
    "DDIMSpace",
    "DPMSolverSpace",
    "MultistepSpace",
    "Plan",
    "Schedule",
    "ScheduleSpace",
    "Schedules",
    "SlotSpace",
    "SolverOptions",
    "Stage",
    "UniPCSpace",
    "compile_plan",
    "compile_plans",
    "make_space",
    "solver_class",
    "solver_names",
    "space_from_table",
    "space_on",
]
