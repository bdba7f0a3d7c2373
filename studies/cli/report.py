"""``omsdpm-bench report``."""

from __future__ import annotations

import click

from studies.cli._settings import TopicCommand, click_options
from studies.jobs.report.settings import ReportSettings


@click.command(cls=TopicCommand, help=ReportSettings.__doc__)
@click_options(ReportSettings)
def report(settings: ReportSettings) -> None:
    """Makes a report."""
    from studies.cli._console import Reporter
    from studies.jobs.report.job import report as report_job

    reporter = Reporter()
    result = report_job(settings, reporter)
    studies = f" and {len(result.studies)} studies" if result.studies else ""
    reporter.note(f"report of {len(result.folders)} runs{studies}: {settings.html}, {result.size / 1024:.0f} KiB")
