"""``omsdpm-bench run``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks.cli import _options


@click.command()
@click.option("--benchmark", default="digits-ddim", show_default=True, help="The problem; see 'list'.")
@click.option("--optimizer", default="nsga2", show_default=True, help="How to search; see 'list'.")
@click.option("--predictor", default="lstm", show_default=True, help="What the search is guided by; see 'list'.")
@click.option(
    "--budget",
    "budgets",
    type=float,
    multiple=True,
    metavar="MS",
    help="Latency budget in ms, repeatable.  [default: the benchmark's]",
)
@click.option(
    "--evaluations",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="Schedules that the search may score with the predictor, all budgets together.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Seeds of fresh noise that each winner is validated with.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of fit and search.")
@click.option("--train-size", type=int, help="Schedules to fit the predictor on.  [default: the whole split]")
@click.option(
    "--validate-images",
    type=click.IntRange(min=2),
    help="Images a seed that validate a winner.  [default: as the baselines]",
)
@_options.device
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="New folder for the results.  [default: runs/<benchmark>-<optimizer>-<predictor>-<time>]",
)
@click.option(
    "--leaderboard",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("leaderboard.csv"),
    show_default=True,
    help="CSV that gets a row per budget and seed.",
)
@click.option("--no-validate", is_flag=True, help="Sample nothing: predictions only, no leaderboard rows.")
@click.option("--quiet", is_flag=True, help="Print only the run folder's path, and errors.")
def run(
    benchmark: str,
    optimizer: str,
    predictor: str,
    budgets: tuple[float, ...],
    evaluations: int,
    seeds: int,
    seed: int,
    train_size: int | None,
    validate_images: int | None,
    device: str,
    output: Path | None,
    leaderboard: Path,
    no_validate: bool,
    quiet: bool,
) -> None:
    """Fit a predictor, search schedules on it, and sample the winners for real."""
    import warnings

    from benchmarks.cli._console import Quiet, Reporter, stdout
    from benchmarks.runner import Settings, run_benchmark, tables

    settings = Settings(
        benchmark=benchmark,
        optimizer=optimizer,
        predictor=predictor,
        budgets=budgets,
        evaluations=evaluations,
        seeds=seeds,
        seed=seed,
        train_size=train_size,
        validate_images=validate_images,
        device=device,
        output=output,
        leaderboard=leaderboard,
        validate=not no_validate,
    )
    with warnings.catch_warnings():
        if quiet:
            warnings.simplefilter("ignore")
        result = run_benchmark(settings, Quiet() if quiet else Reporter())
    if not quiet:
        console = stdout()
        for table in tables(result):
            console.print(table)
        if result.leaderboard is not None:
            console.print(f"Leaderboard: {result.leaderboard}", soft_wrap=True, highlight=False)
    click.echo(str(result.folder) if quiet else f"Run folder: {result.folder}")
