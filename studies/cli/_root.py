"""The table of commands."""

from __future__ import annotations

import click

from studies.cli._lazy import LazyGroup

COMMANDS = {
    "run": "studies.cli.run:run",
    "search": "studies.cli.search:search",
    "study": "studies.cli.study:study",
    "confirm": "studies.cli.confirm:confirm",
    "sample": "studies.cli.sample:sample",
    "validate": "studies.cli.validate:validate",
    "export": "studies.cli.export:export",
    "init": "studies.cli.init:init",
    "leaderboard": "studies.cli.leaderboard:leaderboard",
    "report": "studies.cli.report:report",
    "list": "studies.cli.listing:listing",
    "info": "studies.cli.info:info",
    "zoo": "studies.cli.zoo:zoo",
    "features": "studies.cli.features:features",
    "dataset": "studies.cli.dataset:dataset",
    "predictor": "studies.cli.predictor:predictor",
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="omsdpm", prog_name="omsdpm-bench")
@click.option("--debug", is_flag=True, help="Show the traceback of what is refused.")
def main(debug: bool) -> None:
    """Find model schedules of diffusion models, and measure how good they are."""
