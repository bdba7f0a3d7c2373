"""``omsdpm-bench search``."""

from __future__ import annotations

import click

from studies.cli._settings import TopicCommand, click_options
from studies.jobs.search.settings import SearchSettings


@click.command(cls=TopicCommand, help=SearchSettings.__doc__)
@click_options(SearchSettings)
@click.option("--quiet", is_flag=True, help="Print only the folder's path, and errors.")
def search(settings: SearchSettings, quiet: bool) -> None:
    """Runs the search."""
    run_search(settings, quiet)


def run_search(settings: SearchSettings, quiet: bool) -> None:
    """Runs a search and prints its winners."""
    from studies.cli._console import Reporter, stdout

    if settings.estimate:
        from studies.jobs.estimate.search import estimate_search
        from studies.jobs.estimate.table import search_estimate_lines, search_estimate_table

        cost = estimate_search(settings, Reporter())
        stdout().print(search_estimate_table(cost))
        click.echo(search_estimate_lines(cost))
        return
    from studies.jobs.run.table import tables
    from studies.jobs.search.job import search as search_job
    from studies.records.progress import SILENT

    result = search_job(settings, SILENT if quiet else Reporter())
    if not quiet:
        console = stdout()
        for table in tables(result):
            console.print(table)
    click.echo(str(result.folder) if quiet else f"Folder: {result.folder}")
