"""``omsdpm-bench dataset designs``."""

from __future__ import annotations

import click

from studies.cli._settings import TopicCommand, click_options
from studies.jobs.designs.settings import DesignsSettings


@click.command(cls=TopicCommand, help=DesignsSettings.__doc__)
@click_options(DesignsSettings)
def designs(settings: DesignsSettings) -> None:
    """Weighs designs."""
    from studies.cli._console import Reporter, stdout
    from studies.jobs.designs.job import designs as designs_job
    from studies.jobs.designs.table import designs_table

    stdout().print(designs_table(designs_job(settings, Reporter())))
