"""``omsdpm-bench validate``."""

from __future__ import annotations

import click

from studies.cli._settings import TopicCommand, click_options
from studies.jobs.validate.settings import ValidateSettings


@click.command(cls=TopicCommand, help=ValidateSettings.__doc__)
@click_options(ValidateSettings)
def validate(settings: ValidateSettings) -> None:
    """Samples a population."""
    from studies.cli._console import Reporter, stdout
    from studies.jobs.validate.job import validate as validate_job
    from studies.jobs.validate.table import validation_caption, validation_table

    reporter = Reporter()
    result = validate_job(settings, reporter)
    stdout().print(validation_table(result))
    reporter.note(validation_caption(result))
    if settings.output is not None:
        reporter.note(f"scores: {settings.output}")
