"""From a schedule and its space to the plan of its solver."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.solvers.options import DEFAULT_SPACING, SolverOptions
from omsdpm.solvers.plan import Plan
from omsdpm.solvers.space import Schedules, ScheduleSpace


def compile_plan(
    schedule: ArrayLike,
    space: ScheduleSpace,
    noise: Noise,
    spacing: str = DEFAULT_SPACING,
    *,
    eta: float = 0.0,
    t_end: float | None = None,
) -> Plan:
    """Compiles one schedule to the network evaluations and weights of its solver.

    Args:
        schedule: ``(L,)`` members, 0 = null, index 0 = image end.
        space: the schedule's space, which says the solver.
        noise: the noise schedule that the solver runs on (:meth:`ScheduleSpace.solver_noise`).
        spacing: DPM-Solver only, ``"logSNR"`` or ``"time_uniform"``.
        eta: DDIM only, 0 is deterministic and 1 ancestral.
        t_end: the last time; ``None`` is the image for DDIM, for DPM-Solver 1e-4 from 15 evaluations on, else
            1e-3. Other solvers take none.

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
    (plan,) = compile_plans(space.check(row), space, noise, SolverOptions(spacing, eta, t_end))
    return plan


def compile_plans(X: Schedules, space: ScheduleSpace, noise: Noise, options: SolverOptions) -> list[Plan]:
    """The plans of checked schedules ``(n, L)``.

    Raises:
        InputError: an option is not the solver's.
    """
    space.check_options(options)
    return [space.plan(row, noise, options) for row in X.tolist()]
