"""How a solver is to run, where it can run in several ways."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_SPACING = "logSNR"


@dataclass(frozen=True)
class SolverOptions:
    """What is the same for all schedules of a measurement; what predictors are told too.

    Attributes:
        spacing: how a solver that places its steps itself spreads them: one of its
            :attr:`~omsdpm.solvers.ScheduleSpace.spacings`.
        eta: fresh noise that is added a step, from 0 (deterministic) to 1 (ancestral); DDIM only.
        t_end: the last time, where the solver chooses it; ``None`` leaves the choice to it.
    """

    spacing: str = DEFAULT_SPACING
    eta: float = 0.0
    t_end: float | None = None


USUAL = SolverOptions()
"""What every solver does where nothing is said."""
