"""``omsdpm-bench run``."""

from __future__ import annotations

import click

from studies.cli._settings import TopicCommand, click_options
from studies.jobs.run.settings import RunSettings, matrix_of


@click.command(cls=TopicCommand, help=RunSettings.__doc__)
@click_options(RunSettings)
@click.option("--quiet", is_flag=True, help="Print only the run folder's path, and errors.")
def run(settings: RunSettings, quiet: bool) -> None:
    """Runs the main job."""
    import warnings

    from studies.cli._console import Reporter, stdout
    from studies.cli.study import run_study
    from studies.jobs.run.job import run as run_job
    from studies.jobs.run.table import tables
    from studies.records.progress import SILENT

    if (matrix := matrix_of(settings)) is not None:
        run_study(matrix)
        return
    with warnings.catch_warnings():
        if quiet:
            warnings.simplefilter("ignore")
        result = run_job(settings, SILENT if quiet else Reporter())
    if not quiet:
        console = stdout()
        for table in tables(result):
            console.print(table)
        if result.leaderboard is not None:
            console.print(f"Leaderboard: {result.leaderboard}", soft_wrap=True, highlight=False)
    click.echo(str(result.folder) if quiet else f"Run folder: {result.folder}")
