"""``omsdpm-bench predictor``: fitting, judging and comparing predictors."""

from __future__ import annotations

import click

from studies.cli._lazy import LazyGroup
from studies.cli._settings import TopicCommand, click_options
from studies.jobs.evaluate.settings import EvaluateSettings
from studies.jobs.fit.settings import FitSettings

COMMANDS = {
    "fit": "studies.cli.predictor:fit",
    "evaluate": "studies.cli.predictor:evaluate",
    "compare": "studies.cli.compare:compare",
    "fresh": "studies.cli.fresh:fresh",
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def predictor() -> None:
    """Fit predictors on datasets of measured schedules, and judge their rankings."""


@click.command(cls=TopicCommand, help=FitSettings.__doc__)
@click_options(FitSettings)
def fit(settings: FitSettings) -> None:
    """Fits a predictor."""
    from studies.cli._console import Reporter
    from studies.jobs.fit.job import fit as fit_job

    reporter = Reporter()
    result = fit_job(settings, reporter)
    reporter.note(f"predictor: {settings.output}")
    if result.others is not None:
        reporter.note(f"{result.predictor} on the {result.others.schedules} other schedules: {result.others.words}")


@click.command(cls=TopicCommand, help=EvaluateSettings.__doc__)
@click_options(EvaluateSettings)
def evaluate(settings: EvaluateSettings) -> None:
    """Judges a predictor."""
    from studies.cli._console import Reporter
    from studies.jobs.evaluate.job import evaluate as evaluate_job

    reporter = Reporter()
    result = evaluate_job(settings, reporter)
    reporter.note(f"{result.schedules} schedules: {result.correlations.words}")
