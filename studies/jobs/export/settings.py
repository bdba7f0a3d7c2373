"""What an export is asked to do."""

from __future__ import annotations

from pathlib import Path

from omsdpm.plugins import Registry
from studies.jobs.schedules import Source
from studies.jobs.settings import Settings, option
from studies.jobs.solvers import solver_names

TARGETS = Registry("export", "omsdpm.exports")


def target_names() -> tuple[str, ...]:
    """Names of all targets; imports none of them."""
    return tuple(TARGETS.names())


class ExportSettings(Settings):
    """Write a found schedule as the place where one samples takes it: timesteps or sigmas, and who is called when."""

    words = ("export",)

    schedule: Source = option(
        argument=True, metavar="RESULT",
        help="A run folder or result.json, winners.csv, a leaderboard, the release's .pth, or typed: '3 0 3 2 0'.",
    )  # fmt: skip
    to: str = option(choices=target_names, help="For whom.")
    budget: float | None = option(None, gt=0, metavar="MS", help="Whose winner of several.")
    row: int | None = option(None, ge=0, help="Which schedule of several, from 0.")
    zoo: Path | None = option(None, shown="the run's", help="Folder of the zoo.")
    solver: str | None = option(None, choices=solver_names, shown="the run's, or told by the slots", help="The solver.")
    timesteps: str | None = option(
        None, metavar="GRID", shown="the run's, or the usual grid",
        help="Where slots lie, as 'trailing' or 'leading[offset=1]'; see docs/slots.md.",
    )  # fmt: skip
    spacing: str | None = option(
        None, choices=lambda: ("logSNR", "time_uniform"), shown="the run's, or logSNR",
        help="Of the single-step DPM-Solvers.",
    )  # fmt: skip
    output: Path | None = option(None, file=True, shown="printed", help="The file.")
