"""``omsdpm-bench dataset``: building, importing and weighing schedule datasets."""

from __future__ import annotations

import click

from studies.cli._lazy import LazyGroup
from studies.cli._settings import TopicCommand, click_options
from studies.jobs.dataset_build.settings import BuildSettings
from studies.jobs.dataset_import.settings import ImportSettings

COMMANDS = {
    "build": "studies.cli.dataset:build",
    "import": "studies.cli.dataset:import_",
    "estimate": "studies.cli.estimate:estimate",
    "designs": "studies.cli.designs:designs",
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def dataset() -> None:
    """Measure schedules, and read what others measured."""


@click.command(cls=TopicCommand, help=BuildSettings.__doc__)
@click_options(BuildSettings)
def build(settings: BuildSettings) -> None:
    """Builds a folder."""
    from studies.cli._console import Reporter, stdout
    from studies.jobs.dataset_build.job import build as build_job

    result, console = build_job(settings, Reporter()), stdout()
    console.print(f"{result.dataset}: {result.schedules} schedules", soft_wrap=True, highlight=False)
    if result.baselines is not None:
        console.print(f"{result.baselines} baselines", highlight=False)
        console.print(f"card: {result.card}", soft_wrap=True, highlight=False)


@click.command("import", cls=TopicCommand, help=ImportSettings.__doc__)
@click_options(ImportSettings)
def import_(settings: ImportSettings) -> None:
    """Imports a dataset."""
    from studies.cli._console import Reporter, stdout
    from studies.jobs.dataset_import.job import import_dataset
    from studies.jobs.dataset_import.table import import_table

    result, console = import_dataset(settings, Reporter()), stdout()
    console.print(import_table(result))
    for row in result.refused:
        console.print(f"refused: {row}", soft_wrap=True, highlight=False, markup=False)
    console.print(f"dataset: {result.output}", soft_wrap=True, highlight=False, markup=False)
