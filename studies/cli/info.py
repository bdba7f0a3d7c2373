"""``omsdpm-bench info``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("benchmark")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="PNG of the landscape.  [default: <benchmark>-landscape.png]",
)
@click.option("--no-plot", is_flag=True, help="Print the card, draw nothing.")
def info(benchmark: str, output: Path | None, no_plot: bool) -> None:
    """Print the card of BENCHMARK and draw its landscape: score against latency."""
    from benchmarks import load_benchmark
    from benchmarks.card import card_table
    from benchmarks.landscape import write_landscape
    from omsdpm.files import check_writable
    from studies.cli._console import stdout

    if output is not None and not no_plot:
        check_writable(output)
    problem = load_benchmark(benchmark)
    console = stdout()
    console.print(card_table(problem))
    if not no_plot:
        path = Path(f"{problem.name}-landscape.png") if output is None else output
        write_landscape(problem, path)
        console.print(f"Landscape: {path}", soft_wrap=True, highlight=False)
