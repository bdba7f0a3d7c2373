"""The table of commands."""

from __future__ import annotations

import click

from benchmarks.cli._lazy import LazyGroup

COMMANDS = {
    "run": "benchmarks.cli.run:run",
    "sample": "benchmarks.cli.sample:sample",
    "validate": "benchmarks.cli.validate:validate",
    "list": "benchmarks.cli.listing:listing",
    "info": "benchmarks.cli.info:info",
    "zoo": "benchmarks.cli.zoo:zoo",
    "dataset": "benchmarks.cli.dataset:dataset",
    "predictor": "benchmarks.cli.predictor:predictor",
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="omsdpm", prog_name="omsdpm-bench")
def main() -> None:
    """Find model schedules of diffusion models, and measure how good they are."""
