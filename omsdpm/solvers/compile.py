"""From a schedule and its space to the plan of its solver."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.solvers.ddim import DDIMSpace, compile_ddim
from omsdpm.solvers.dpm_solver import DPMSolverSpace, Spacing, compile_dpm_solver
from omsdpm.solvers.multistep import MultistepSpace, compile_multistep
from omsdpm.solvers.plan import Plan
from omsdpm.solvers.space import ScheduleSpace


def compile_plan(
    schedule: ArrayLike,
    space: ScheduleSpace,
    noise: Noise,
    spacing: Spacing = "logSNR",
    *,
    eta: float = 0.0,
    t_end: float | None = None,
) -> Plan:
    """Compiles one schedule to the network evaluations and weights of its solver.

    Args:
        schedule: ``(L,)`` members, 0 = null, index 0 = image end.
        space: the schedule's space, which says the solver.
        noise: the noise schedule; a continuous one for DPM-Solvers.
        spacing: DPM-Solver only, ``"logSNR"`` or ``"time_uniform"``.
        eta: DDIM only, 0 is deterministic and 1 ancestral.
        t_end: DPM-Solver only, the last time; ``None`` is 1e-4 from 15 evaluations on, else 1e-3.

    Raises:
        InputError: the schedule is not valid in its space, or an option is not the solver's.

    Example:
        >>> plan = compile_plan([1, 0, 2], DDIMSpace(2, 3), DiscreteVP.linear())
        >>> plan.nfe, plan.models
        (2, array([2, 1]))
    """
    row = np.asarray(schedule)
    if row.ndim != 1:
        raise InputError(f"schedule of shape {row.shape}: compile_plan takes one schedule of {space.length} slots")
    (checked,) = space.check(row)
    if eta and not (type(space) is DDIMSpace and 0 <= eta <= 1):
        raise InputError(f"eta={eta}: only DDIM takes it, from 0 to 1")
    members = checked.tolist()
    if isinstance(space, DPMSolverSpace):
        groups = space.groups(checked).reshape(-1, 3).tolist()
        return compile_dpm_solver(groups, noise, spacing, t_end)
    if isinstance(space, MultistepSpace):
        return compile_multistep(members, space.timesteps.tolist(), noise)
    if isinstance(space, DDIMSpace):
        return compile_ddim(members, space.timesteps.tolist(), noise, eta)
    raise InputError(f"no solver for {space}")
