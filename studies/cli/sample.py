"""``omsdpm-bench sample``."""

from __future__ import annotations

import click

from studies.cli._settings import TopicCommand, click_options
from studies.jobs.sample.settings import SampleSettings


@click.command(cls=TopicCommand, help=SampleSettings.__doc__)
@click_options(SampleSettings)
def sample(settings: SampleSettings) -> None:
    """Samples one schedule."""
    from studies.cli._console import Reporter
    from studies.jobs.sample.job import sample as sample_job

    reporter = Reporter()
    result = sample_job(settings, reporter)
    if settings.images is not None:
        reporter.note(f"images: {settings.images}")
    if result.score is not None:
        reporter.note(f"{result.metric}: {result.score:.6g} ({result.images} images, {result.nfe} evaluations)")
    if settings.output is not None:
        reporter.note(f"score: {settings.output}")
