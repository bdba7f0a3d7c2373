"""``omsdpm-bench dataset``: building and importing schedule datasets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from studies.cli import _options
from studies.cli._lazy import LazyGroup

COMMANDS = {
    "build": "studies.cli.dataset:build",
    "import": "studies.cli.dataset:import_",
    "estimate": "studies.cli.estimate:estimate",
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def dataset() -> None:
    """Measure schedules, and read what others measured."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--executor", type=click.Choice(["joblib", "dask"]), default="joblib", show_default=True, help="Where shards run."
)
@click.option("--jobs", type=click.IntRange(min=1), help="Local processes.  [default: one a core; one on a GPU]")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads a process.")
@click.option("--scheduler", metavar="ADDRESS", help="Of the Dask scheduler, as tcp://host:8786.")
@click.option("--shard-size", type=click.IntRange(min=1), default=50, show_default=True, help="Schedules a shard.")
@_options.inception_weights
@_options.device
def build(
    folder: Path,
    executor: str,
    jobs: int | None,
    threads: int,
    scheduler: str | None,
    shard_size: int,
    inception_weights: Path | None,
    device: str,
) -> None:
    """Measure the schedules that FOLDER/benchmark.toml asks for, into FOLDER/schedules.parquet.

    A killed build goes on where it was, and several builds of one folder share the work.
    Rounds that the dataset holds already are left alone, so a round added later is
    appended. Where the file names budgets, the baselines under them are validated too.
    """
    import os
    from dataclasses import replace

    from omsdpm.dataset.build import Workers, build_dataset
    from omsdpm.dataset.recipe import Recipe, read_toml
    from omsdpm.devices import resolve_device
    from studies.cli._console import Reporter, stdout

    recipe = Recipe.read(folder)
    recipe = replace(recipe, measurement=recipe.measurement.with_inception_weights(inception_weights))
    where = resolve_device(device)
    if jobs is None:
        jobs = 1 if where != "cpu" else os.cpu_count() or 1
    workers = Workers(executor, jobs, threads, scheduler, where)
    reporter, console = Reporter(), stdout()
    with reporter.part("Measuring schedules") as step:
        built = build_dataset(recipe, workers, shard_size=shard_size, progress=_labelled(step))
    console.print(f"{recipe.dataset}: {len(built)} schedules", soft_wrap=True, highlight=False)
    if "budgets" in read_toml(folder / "benchmark.toml"):
        from benchmarks import Benchmark
        from benchmarks.building import build_baselines, build_repeat
        from benchmarks.card import write_card

        benchmark = replace(Benchmark.read(folder), measurement=recipe.measurement)
        with reporter.part("Repeating with other noise") as step:
            build_repeat(benchmark, workers, progress=_labelled(step))
        with reporter.part("Validating baselines") as step:
            baselines = build_baselines(benchmark, workers, progress=_labelled(step))
        console.print(f"{len(baselines)} baselines", highlight=False)
        console.print(f"card: {write_card(Benchmark.read(folder))}", soft_wrap=True, highlight=False)


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The Parquet file.")
@_options.solver("What the schedules were sampled with.", required=True)
@click.option("--latency", type=click.Path(path_type=Path), help="The zoo's latency table, kept with the dataset.")
@click.option(
    "--members",
    type=click.IntRange(min=1),
    help="Of the zoo.  [default: the latency table's, else the largest that occurs]",
)
def import_(path: Path, output: Path, solver: str, latency: Path | None, members: int | None) -> None:
    """Convert the released dataset PATH, a .pth or a folder of them, into Parquet.

    Rows that are no measured schedules are left out, and listed with their reasons.
    """
    from dataclasses import replace

    from rich.table import Table

    from omsdpm.released import sift_dataset
    from omsdpm.zoo.opening import read_latency_table
    from studies.cli._console import stdout

    table = None if latency is None else read_latency_table(latency, members)
    data, refused = sift_dataset(path, solver=solver, num_models=members if table is None else len(table))
    if table is not None:
        data = replace(data, extra={**data.extra, "latency_ms": table})
    data.write(output)
    space = data.space
    nfe = space.nfe(data.X)
    summary = Table(show_header=False)
    summary.add_row("schedules", str(len(data)))
    summary.add_row("solver", space.solver)
    summary.add_row("length", f"{space.length} slots")
    summary.add_row("members", str(space.num_models))
    summary.add_row("evaluations", f"{nfe.min()} to {nfe.max()}")
    if table is not None:
        ms = space.latency(data.X, table)
        summary.add_row("latency", f"{ms.min():.6g} to {ms.max():.6g} ms")
    summary.add_row("score (FID)", f"{data.y.min():.6g} to {data.y.max():.6g}")
    summary.add_row("refused", str(len(refused)))
    console = stdout()
    console.print(summary)
    for row in refused:
        console.print(f"refused: {row}", soft_wrap=True, highlight=False, markup=False)
    console.print(f"dataset: {output}", soft_wrap=True, highlight=False, markup=False)


def _labelled(step: Callable[[int, int], None]) -> Callable[[str, int, int], Any]:
    return lambda label, done, total: step(done, total)
