"""``omsdpm-bench dataset estimate``."""

from __future__ import annotations

import click

from studies.cli._settings import TopicCommand, click_options
from studies.jobs.estimate.settings import EstimateSettings


@click.command(cls=TopicCommand, help=EstimateSettings.__doc__)
@click_options(EstimateSettings)
def estimate(settings: EstimateSettings) -> None:
    """Estimates a build."""
    from studies.cli._console import Reporter, stdout
    from studies.jobs.estimate.job import estimate as estimate_job
    from studies.jobs.estimate.table import estimate_lines, estimate_table

    result = estimate_job(settings, Reporter())
    stdout().print(estimate_table(result))
    click.echo(estimate_lines(result))
    if result.devices is not None:
        plural = "s" * (result.devices > 1)
        stdout().print(f"To finish within {settings.deadline:g} hours: {result.devices} such device{plural}")
