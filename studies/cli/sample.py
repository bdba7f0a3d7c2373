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
    from studies.records.scores import with_error

    reporter = Reporter()
    result = sample_job(settings, reporter)
    if settings.images is not None:
        reporter.note(f"images: {settings.images}")
    for score in result.all_scores:
        shown = with_error(score.score, score.error)
        reporter.note(f"{score.metric}: {shown} ({result.images} images, {result.nfe} evaluations)")
    if settings.output is not None:
        reporter.note(f"score: {settings.output}")
