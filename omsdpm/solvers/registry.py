"""Spaces by the solver's name, as files and the command line write it."""

from __future__ import annotations

from omsdpm.errors import InputError, unknown_name
from omsdpm.solvers.ddim import DDIMSpace
from omsdpm.solvers.dpm_solver import GROUP, DPMSolverSpace
from omsdpm.solvers.multistep import MultistepSpace
from omsdpm.solvers.space import ScheduleSpace

SOLVERS = (DDIMSpace.solver, DPMSolverSpace.solver, MultistepSpace.solver)


def make_space(solver: str, num_models: int, length: int) -> ScheduleSpace:
    """The space of ``length`` slots for a solver of :data:`SOLVERS`.

    Raises:
        InputError: unknown solver, or a length that is no multiple of three for ``dpm-solver``.
    """
    if solver == DPMSolverSpace.solver:
        if length % GROUP:
            raise InputError(f"length {length} for dpm-solver: expected a multiple of {GROUP}, three slots a solver")
        return DPMSolverSpace(num_models, length // GROUP)
    for space in (DDIMSpace, MultistepSpace):
        if solver == space.solver:
            return space(num_models, length)
    raise unknown_name("solver", solver, SOLVERS)
