"""``omsdpm-bench init``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("kind", type=click.Choice(["zoo", "benchmark"]))
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
def init(kind: str, folder: Path) -> None:
    """Write a commented zoo.toml or benchmark.toml to fill in; nothing is overwritten."""
    from studies.scaffold import write_scaffold

    click.echo(str(write_scaffold(kind, folder)))
