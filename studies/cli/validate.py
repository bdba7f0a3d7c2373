"""``omsdpm-bench validate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from omsdpm.errors import InputError
from studies.cli import _options
from studies.cli._sampling import Sampling, sampling_options

if TYPE_CHECKING:
    from rich.table import Table

    from studies.jobs.validate.job import Validated

DIGITS = (1, 8, 8)
"""Images of a zoo that is scored by fd-digits where nothing else is said."""

SEED = 1001
"""Of the first round's noise: fresh, as datasets are measured with small seeds."""


@click.command()
@click.option("--population", type=click.Path(path_type=Path), required=True, help="The release's .pth, best first.")
@click.option("--zoo", type=click.Path(path_type=Path), help="Folder of a zoo, ours or released.")
@click.option("--benchmark", metavar="NAME", help="Instead of --zoo: a benchmark's zoo, solver, metric and reference.")
@_options.solver("What steps from one time to the next.  [default: told by the schedules' slots]")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="Schedules of the first round.")
@click.option(
    "--num-images", type=click.IntRange(min=2), default=5_000, show_default=True, help="Images in the first round."
)
@click.option(
    "--final-images", type=click.IntRange(min=0), default=50_000, show_default=True, help="Of the best; 0 for none."
)
@click.option("--seed", type=click.IntRange(min=0), default=SEED, show_default=True, help="The best gets the next one.")
@click.option("--latency", type=click.Path(path_type=Path), help="Latency table.  [default: the zoo's]")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="JSON file for all scores.")
@sampling_options
def validate(
    population: Path,
    zoo: Path | None,
    benchmark: str | None,
    solver: str | None,
    top: int,
    num_images: int,
    final_images: int,
    seed: int,
    latency: Path | None,
    output: Path | None,
    **given: Any,
) -> None:
    """Sample the best predicted schedules of a search, and the best of those again with more images.

    The metric is fid, or fd-digits for a zoo of gray 8x8 images without --stats.

    The first round samples all from common noise, every shared beginning once. The
    best gets fresh noise, so that its score owes nothing to having been chosen by it.
    """
    from omsdpm.devices import resolve_device
    from omsdpm.released import infer_solver, read_schedules
    from omsdpm.solvers import make_space
    from omsdpm.zoo.opening import open_zoo
    from studies.cli._console import Reporter, stdout
    from studies.jobs.validate.job import Rounds, validate_population, write_validation

    how = Sampling.take(given)
    if (zoo is None) == (benchmark is None):
        raise InputError("give --zoo FOLDER or --benchmark NAME, one of them")
    reporter = Reporter()
    if benchmark is not None:
        if latency is not None:
            raise InputError(f"--latency: benchmark {benchmark} has its own frozen table; leave --latency out")
        how, solver = _of_benchmark(benchmark, how, solver, seed, final_images)
    device = resolve_device(how.device)
    X = read_schedules(population)[:top]
    if solver is None:
        solver = infer_solver(X)
        reporter.note(f"solver: {solver}, by the schedules' slots; --solver says otherwise")
    if benchmark is None:
        assert zoo is not None  # just checked
        members = open_zoo(zoo, device, latency)
    else:
        from benchmarks import load_benchmark

        members = load_benchmark(benchmark).zoo(device)
    metric = how.metric
    if metric is None:  # statistics are of Inception's features unless --metric says otherwise
        metric = "fd-digits" if how.stats is None and members.shape == DIGITS else "fid"
    how.check(metric)
    space = make_space(solver, len(members.members), X.shape[1])
    try:
        X = space.check(X)
    except InputError as error:
        raise InputError(f"{population}: {error}") from error
    sampler = how.sampler(members, space)
    sampler.check(X, max(num_images, final_images))
    network, reference = how.scorer(metric, members)
    result = validate_population(
        sampler, X, Rounds(num_images, final_images, seed), network=network, reference=reference, reporter=reporter
    )
    stdout().print(_table(result, metric))
    reporter.note(_caption(result, how.noise is not None))
    if output is not None:
        facts = {
            "population": str(population),
            "zoo": str(zoo) if benchmark is None else f"benchmark {benchmark}",
            "solver": solver,
            "spacing": how.spacing,
            "noise": None if how.noise is None else str(how.noise),
            "label": how.label,
            "stats": how.stats,
        }
        write_validation(result, metric, facts, device, output)
        reporter.note(f"scores: {output}")


def _of_benchmark(name: str, how: Sampling, solver: str | None, seed: int, final_images: int) -> tuple[Sampling, str]:
    """The options that a benchmark settles.

    Raises:
        InputError: an option that says something else, or the dataset's own noise.
    """
    from dataclasses import replace

    from benchmarks import load_benchmark

    problem = load_benchmark(name)
    m = problem.measurement
    for option, value, own in (("solver", solver, m.solver), ("metric", how.metric, m.metric)):
        if value not in (None, own):
            raise InputError(f"--{option} {value}: benchmark {name} has {own}; leave --{option} out")
    if how.noise is None and m.seed in (seed, seed + 1 if final_images else seed):
        raise InputError(f"seed {m.seed} is the noise of benchmark {name}'s dataset: give another --seed")
    weights = how.inception_weights or m.inception_weights
    settled = replace(
        how,
        spacing=m.spacing,
        metric=m.metric,
        stats=how.stats or m.reference,
        inception_weights=None if weights is None else Path(weights),
    )
    return settled, m.solver


def _caption(result: Validated, fixed: bool) -> str:
    rounds = result.rounds
    noise = "the given noise" if fixed else f"noise of seed {rounds.seed}"
    caption = f"Round 1: {rounds.images} images each, {noise}. Lower is better."
    if result.final is not None:
        noise = "the given noise again" if fixed else f"fresh noise, seed {rounds.seed + 1}"
        caption += f" Again: the best, {rounds.final_images} images, {noise}."
    return f"{caption} Shared beginnings left {result.evaluations} of {result.one_by_one} evaluations to do."


def _table(result: Validated, metric: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    rounds, table = result.rounds, Table()
    for title in ("row", "latency\n(ms)", "NFE", f"{metric}\n{rounds.images} images"):
        table.add_column(title, justify="right")
    if result.final is not None:
        table.add_column(f"{metric}\n{rounds.final_images} images", justify="right")
    for row in result.order:
        best = row == result.best
        cells = [str(row), "-" if result.latency is None else f"{result.latency[row]:.2f}", str(result.nfe[row])]
        cells.append(f"{result.scores[row]:.4f}")
        if result.final is not None:
            cells.append(f"{result.final:.4f}" if best else "")
        table.add_row(*[Text(cell, style="bold" if best else "") for cell in cells])
    return table
