"""``omsdpm-bench confirm``."""

from __future__ import annotations

import click

from studies.cli._settings import TopicCommand, click_options
from studies.jobs.confirm.settings import ConfirmSettings


@click.command(cls=TopicCommand, help=ConfirmSettings.__doc__)
@click_options(ConfirmSettings)
def confirm(settings: ConfirmSettings) -> None:
    """Confirms a run."""
    from studies.cli._console import Reporter, stdout
    from studies.jobs.confirm.job import confirm as confirm_job
    from studies.jobs.confirm.table import confirm_table

    stdout().print(confirm_table(confirm_job(settings, Reporter())))
