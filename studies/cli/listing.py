"""``omsdpm-bench list``."""

from __future__ import annotations

import click

GROUPS = {
    "benchmarks": "omsdpm.benchmarks",
    "predictors": "omsdpm.predictors",
    "optimizers": "omsdpm.optimizers",
    "strategies": "omsdpm.strategies",
    "solvers": "omsdpm.solvers",
    "noise schedules": "omsdpm.noise",
    "networks": "omsdpm.networks",
    "transformers": "omsdpm.transformers",
    "pipelines whose prompts are read": "omsdpm.prompts",
    "variants": "omsdpm.variants",
    "metrics": "omsdpm.metrics",
    "features": "omsdpm.features",
    "exports": "omsdpm.exports",
}
"""What is listed, and the entry-point group where it is registered."""


@click.command("list")
def listing() -> None:
    """List what is installed, by kind: whatever a benchmark, a run or a zoo may name."""
    from studies.cli._describe import registered

    for number, (title, group) in enumerate(GROUPS.items()):
        entries = registered(group)
        width = max((len(entry.name) for entry in entries), default=0)
        click.echo(("\n" if number else "") + title)
        for entry in entries:
            click.echo(f"  {entry.name:<{width}}  {entry.summary}".rstrip())
        if not entries:
            click.echo("  none is installed")
