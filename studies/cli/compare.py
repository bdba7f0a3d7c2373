"""``omsdpm-bench predictor compare``."""

from __future__ import annotations

import click

from studies.cli._settings import TopicCommand, click_options
from studies.jobs.compare.settings import CompareSettings


@click.command(cls=TopicCommand, help=CompareSettings.__doc__)
@click_options(CompareSettings)
def compare(settings: CompareSettings) -> None:
    """Compares predictors."""
    from studies.cli._console import Reporter, stdout
    from studies.jobs.compare.job import compare as compare_job
    from studies.jobs.compare.table import comparison_table

    comparison = compare_job(settings, Reporter())
    stdout().print(comparison_table(comparison))
    click.echo(f"Comparison: {settings.output}")
