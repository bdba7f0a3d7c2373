"""``omsdpm-bench predictor fresh``."""

from __future__ import annotations

import click

from studies.cli._settings import TopicCommand, click_options
from studies.jobs.fresh.settings import FreshSettings


@click.command(cls=TopicCommand, help=FreshSettings.__doc__)
@click_options(FreshSettings)
def fresh(settings: FreshSettings) -> None:
    """Judges predictors on other noise."""
    from studies.cli._console import Reporter, stdout
    from studies.jobs.fresh.job import fresh as fresh_job
    from studies.jobs.fresh.table import fresh_table

    stdout().print(fresh_table(fresh_job(settings, Reporter())))
