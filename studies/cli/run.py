"""``omsdpm-bench run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from omsdpm.errors import InputError
from studies.cli import _options

if TYPE_CHECKING:
    from studies.jobs import SearchSettings

ONLY_BENCHMARK = (
    "benchmark", "predictor", "seeds", "train_size", "validate_images", "device", "inception_weights", "leaderboard",
    "no_validate",
)  # fmt: skip
"""Parameters that mean nothing to a search without a benchmark."""

ONLY_SEARCH = {
    "latency": "latency",
    "solver": "solver",
    "length": "length",
    "predictor_config": "predictor-config",
}
"""Parameters that mean nothing with a benchmark, and their options."""


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
@_options.inception_weights
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
@click.option(
    "--predictor-checkpoint",
    type=click.Path(path_type=Path),
    help="Search without a benchmark, on a released predictor or a folder of 'predictor fit'.",
)
@click.option("--latency", type=click.Path(path_type=Path), help="With a checkpoint: the members' latency table.")
@_options.solver("With a checkpoint: its solver.  [default: told by the checkpoint]")
@click.option("--length", type=click.IntRange(min=1), help="With a released checkpoint: slots.  [default: CIFAR-10's]")
@click.option("--predictor-config", type=click.Path(path_type=Path), help="With a released checkpoint: its YAML.")
@click.option("--no-validate", is_flag=True, help="Sample nothing: predictions only, no leaderboard rows.")
@click.option("--quiet", is_flag=True, help="Print only the run folder's path, and errors.")
@click.pass_context
def run(
    ctx: click.Context,
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
    inception_weights: Path | None,
    output: Path | None,
    leaderboard: Path,
    predictor_checkpoint: Path | None,
    latency: Path | None,
    solver: str | None,
    length: int | None,
    predictor_config: Path | None,
    no_validate: bool,
    quiet: bool,
) -> None:
    """Fit a predictor, search schedules on it, and sample the winners for real.

    With --predictor-checkpoint and --latency, only search: no benchmark is loaded and
    nothing is sampled. The final population is for 'validate'.
    """
    import warnings

    from studies.cli._console import Quiet, Reporter, stdout
    from studies.jobs import SearchSettings, Settings, run_benchmark, tables

    _check_kind(ctx)
    if predictor_checkpoint is not None:
        if latency is None:
            raise InputError("--predictor-checkpoint searches without a benchmark: give --latency FILE too")
        _search(
            SearchSettings(
                checkpoint=predictor_checkpoint,
                latency=latency,
                budgets=budgets,
                solver=solver,
                length=length,
                config=predictor_config,
                optimizer=optimizer,
                evaluations=evaluations,
                seed=seed,
                output=output,
            ),
            quiet,
        )
        return
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
        inception_weights=inception_weights,
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


def _search(settings: SearchSettings, quiet: bool) -> None:
    from studies.cli._console import Quiet, Reporter, stdout
    from studies.jobs import run_search, search_table

    result = run_search(settings, Quiet() if quiet else Reporter())
    if not quiet:
        stdout().print(search_table(result))
    click.echo(str(result.folder) if quiet else f"Run folder: {result.folder}")


def _check_kind(ctx: click.Context) -> None:
    """Raises :class:`InputError` for an option that means nothing to this kind of run."""

    def given(parameter: str) -> bool:
        return ctx.get_parameter_source(parameter) is click.core.ParameterSource.COMMANDLINE

    if ctx.params["predictor_checkpoint"] is None:
        for parameter, option in ONLY_SEARCH.items():
            if given(parameter):
                raise InputError(f"--{option} is for a search without a benchmark: give --predictor-checkpoint too")
        return
    for parameter in ONLY_BENCHMARK:
        if given(parameter):
            option = parameter.replace("_", "-")
            raise InputError(f"--{option} with --predictor-checkpoint, which searches without a benchmark: give either")
