"""``omsdpm-bench export``."""

from __future__ import annotations

import click

from studies.cli._settings import TopicCommand, click_options
from studies.jobs.export.settings import ExportSettings


@click.command(cls=TopicCommand, help=ExportSettings.__doc__)
@click_options(ExportSettings)
def export(settings: ExportSettings) -> None:
    """Writes one schedule for a target."""
    from studies.jobs.export.job import export as export_job

    text = export_job(settings)
    click.echo(text.rstrip() if settings.output is None else f"export: {settings.output}")
