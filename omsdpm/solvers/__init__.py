"""Solvers as data: a schedule compiles to a :class:`Plan` of stages and weights."""

from omsdpm.solvers._compile import compile_plan
from omsdpm.solvers.dpm_solver import SPACINGS, Spacing, time_end
from omsdpm.solvers.plan import Combination, Plan, Stage

__all__ = ["SPACINGS", "Combination", "Plan", "Spacing", "Stage", "compile_plan", "time_end"]
