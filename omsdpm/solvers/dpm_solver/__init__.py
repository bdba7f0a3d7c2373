"""Single-step DPM-Solver of orders 1 to 3."""

from omsdpm.solvers.dpm_solver.space import DPMSolverSpace
from omsdpm.solvers.dpm_solver.steps import FEW, GROUP, Step, stage_times, time_end

__all__ = ["FEW", "GROUP", "DPMSolverSpace", "Step", "stage_times", "time_end"]
