"""What converting a released dataset is asked to do."""

from __future__ import annotations

from pathlib import Path

from studies.jobs.settings import Settings, option
from studies.jobs.solvers import solver_names


class ImportSettings(Settings):
    """Convert the released dataset PATH, a .pth or a folder of them, into Parquet.

    Rows that are no measured schedules are left out, and listed with their reasons.
    """

    words = ("dataset", "import")

    path: Path = option(argument=True, help="A .pth, or a folder of them.")
    output: Path = option(file=True, help="The Parquet file.")
    solver: str = option(choices=solver_names, help="What the schedules were sampled with.")
    latency: Path | None = option(None, help="The zoo's latency table, kept with the dataset.")
    members: int | None = option(
        None, ge=1, shown="the latency table's, else the largest that occurs", help="Of the zoo."
    )
