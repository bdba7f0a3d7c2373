"""``omsdpm-bench run``."""

from __future__ import annotations

from pathlib import Path

import click

from studies.cli._settings import TopicCommand, click_options
from studies.jobs.run.settings import RunSettings, matrix_of


@click.command(cls=TopicCommand, help=RunSettings.__doc__)
@click_options(RunSettings)
@click.option(
    "--resume", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
    help="Go on with the run or search in FOLDER, which says all other options.",
)  # fmt: skip
@click.option("--quiet", is_flag=True, help="Print only the run folder's path, and errors.")
def run(settings: RunSettings, resume: Path | None, quiet: bool) -> None:
    """Runs the main job."""
    import warnings

    if resume is not None:
        from omsdpm.errors import InputError
        from studies.jobs.run.folder import settings_of

        for name in sorted(settings.model_fields_set):
            raise InputError(f"--resume goes on with what {resume} says: leave {settings.flag(name)} out")
        begun = settings_of(resume)
        if not isinstance(begun, RunSettings):
            from studies.cli.search import run_search

            run_search(begun, quiet)
            return
        settings = begun

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
