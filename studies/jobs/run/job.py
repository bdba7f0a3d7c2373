"""The main job: fit, search, validate, write."""

from __future__ import annotations

import datetime

import benchmarks
from omsdpm.devices import resolve_device
from omsdpm.errors import unknown_name
from omsdpm.released import write_population
from predictors import predictor_names
from studies import optimizer_names
from studies.jobs.run.plot import write_plot
from studies.jobs.run.result import RunResult, write_json, write_pareto, write_winners
from studies.jobs.run.search import check_evaluations, search
from studies.jobs.run.settings import Settings, resolve_budgets, training_data
from studies.jobs.run.table import ranking_line
from studies.jobs.run.winners import Protocol, predicted_only, protocol, validate
from studies.ranking import fit, ranking
from studies.records.environment import environment
from studies.records.folder import claim_folder
from studies.records.grid import write_grid
from studies.records.leaderboard import Leaderboard
from studies.records.progress import Clock, Reporter


def run_benchmark(settings: Settings, reporter: Reporter) -> RunResult:
    """Fits a predictor, searches schedules on it, samples the winners, writes a run folder.

    All input is checked before anything is fitted or written.

    Args:
        settings: what to do.
        reporter: is told the progress of each part.

    Raises:
        InputError: something in ``settings`` cannot be used.
    """
    when = datetime.datetime.now().astimezone()
    for kind, name, known in (
        ("optimizer", settings.optimizer, optimizer_names()),
        ("predictor", settings.predictor, predictor_names()),
    ):
        if name not in known:
            raise unknown_name(kind, name, known)
    clock = Clock(reporter)
    device = resolve_device(settings.device)
    with clock.part("load", f"Loading {settings.benchmark}"):
        benchmark = benchmarks.load_benchmark(settings.benchmark)
        if settings.inception_weights is not None:
            benchmark = benchmark.with_inception_weights(settings.inception_weights)
        budgets = resolve_budgets(benchmark, settings.budgets)
        train = training_data(benchmark, settings.train_size, settings.seed)
        check_evaluations(settings.optimizer, settings.evaluations, budgets)
        how = protocol(benchmark, settings.validate_images, settings.seeds)
    board = Leaderboard(settings.leaderboard) if settings.validate else None
    if board is not None:
        board.check()
    folder = claim_folder(settings.output, f"{benchmark.name}-{settings.optimizer}-{settings.predictor}", when)

    with clock.part("fit", f"Fitting {settings.predictor} on {len(train)} schedules"):
        predictor = fit(settings.predictor, benchmark, train, settings.seed)
        ranks = ranking(predictor, benchmark.dataset)
    reporter.note(ranking_line(settings.predictor, ranks))
    with clock.part("search", f"Searching with {settings.optimizer}") as step:
        found = search(
            settings.optimizer,
            benchmark,
            predictor,
            budgets,
            evaluations=settings.evaluations,
            seed=settings.seed,
            progress=step,
        )
    images = []
    if settings.validate:
        with clock.part("validate", f"Sampling winners, {how.images} images x {len(how.seeds)} seeds") as step:
            validated = validate(benchmark, found, budgets, how, device=device, progress=step)
        winners, images = validated.winners, validated.images
    else:
        winners = predicted_only(benchmark, found, budgets)
        how = Protocol(*benchmark.validation)

    result = RunResult(
        settings=settings,
        folder=folder,
        leaderboard=None if board is None else board.path,
        benchmark={
            "name": benchmark.name,
            "data_hash": benchmark.data_hash,
            "metric": benchmark.metric,
            "solver": benchmark.space.solver,
            "spacing": benchmark.spacing,
            "num_models": benchmark.space.num_models,
            "length": benchmark.space.length,
            "latency_ms": [float(ms) for ms in benchmark.latency],
        },
        ranking=ranks,
        train_size=len(train),
        budgets=budgets,
        found=found,
        winners=winners,
        protocol=how,
        environment=environment(device),
        seconds=clock.seconds,
        when=when.isoformat(timespec="seconds"),
    )
    with clock.part("write", "Writing results"):
        write_pareto(found, folder / "pareto.csv")
        write_winners(result, folder / "winners.csv")
        for budget, population in zip(budgets, found.populations, strict=True):
            write_population(folder / f"population-{budget:.12g}.pth", population, benchmark.space)
        for winner, batch in zip(winners, images, strict=False):  # no images without validation
            write_grid(batch, folder / f"samples-{winner.budget:.12g}.png")
        write_plot(result, benchmark, predictor, folder / "plot.png")
    write_json(result, folder / "result.json")
    if board is not None:
        board.append(result.leaderboard_rows())
    return result
