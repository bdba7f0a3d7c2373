"""The main job: fit or open a predictor, search on it, validate, write."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from omsdpm.devices import resolve_device
from omsdpm.released import write_population, write_schedule
from studies.jobs.naming import benchmark_of, check_predictor, optimizer_of, predictor_of, short_name, text_of
from studies.jobs.run.checkpoint import open_checkpoint, open_latency, sha256
from studies.jobs.run.plot import write_plot
from studies.jobs.run.result import RunResult, Source, write_pareto, write_predicted_winners, write_winners
from studies.jobs.run.search import PricedSpace, check_evaluations, search
from studies.jobs.run.settings import RunSettings, resolve_budgets, training_data
from studies.jobs.run.winners import best_predicted, choose, fields_of, predicted_only, validate, validation_plan
from studies.pessimist import Pessimist
from studies.ranking import fit, ranking, ranking_line
from studies.records.environment import environment
from studies.records.folder import claim_folder
from studies.records.grid import write_grid
from studies.records.leaderboard import COLUMNS, Leaderboard
from studies.records.progress import SILENT, Clock, Reporter

if TYPE_CHECKING:
    from benchmarks import Benchmark
    from omsdpm.solvers import ScheduleSpace


def run(settings: RunSettings, reporter: Reporter = SILENT) -> RunResult:
    """Searches schedules on a predictor, samples the winners of a benchmark, writes a run folder.

    The predictor is fitted on the benchmark's labels; or it is a saved or released one, and
    then there is no benchmark and nothing is sampled. All input is checked before anything
    is fitted or written.

    Args:
        settings: what to do.
        reporter: is told the progress of each part.

    Raises:
        InputError: something in ``settings`` cannot be used.

    Example:
        >>> result = run(RunSettings(benchmark=benchmark, optimizer="nsga2[population=100]"))
        >>> result.winners[0].gain  # percent over the best baseline
    """
    return _search_only(settings, reporter) if settings.only_search else _on_benchmark(settings, reporter)


def _on_benchmark(settings: RunSettings, reporter: Reporter) -> RunResult:
    when = datetime.datetime.now().astimezone()
    optimizer, name = optimizer_of(settings.optimizer), text_of(settings.predictor)
    if isinstance(settings.predictor, str):
        check_predictor(settings.predictor)
    clock = Clock(reporter)
    device = resolve_device(settings.device)
    with clock.part("load", f"Loading {text_of(settings.benchmark)}"):
        benchmark = benchmark_of(settings.benchmark)
        if settings.metric is not None:
            benchmark = benchmark.with_metric(settings.metric)
        own = ", ".join(f"{budget:g}" for budget in benchmark.budgets)
        budgets = resolve_budgets(
            settings.budgets or benchmark.budgets,
            benchmark.latency,
            f"the cheapest schedule of {benchmark.name}",
            f"its own budgets are {own} ms",
        )
        train = training_data(benchmark, settings.train_size, settings.seed)
        check_evaluations(optimizer, text_of(settings.optimizer), settings.evaluations, budgets)
        predictor = predictor_of(settings.predictor, benchmark, settings.seed)
        plan = validation_plan(
            benchmark, settings.validate_images, settings.seeds, settings.first_seed, settings.race_images
        )
    board = Leaderboard(settings.leaderboard) if settings.validated else None
    if board is not None:
        board.check()
        benchmark.check_comparable()  # told before a predictor is fitted for nothing
    names = (benchmark.name, short_name(settings.optimizer), short_name(settings.predictor))
    folder = claim_folder(settings.output, "-".join(names), when)

    with clock.part("fit", f"Fitting {name} on {len(train)} schedules"):
        predictor = fit(predictor, benchmark, train)
        ranks = ranking(predictor, benchmark.dataset)
    reporter.note(ranking_line(name, ranks))
    priced, scorer = PricedSpace(benchmark.space, list(benchmark.latency)), Pessimist(predictor, settings.kappa)
    with clock.part("search", f"Searching with {text_of(settings.optimizer)}") as step:
        outcome = search(
            optimizer, priced, scorer, budgets,
            evaluations=settings.evaluations, seed=settings.seed, progress=step,
        )  # fmt: skip
    images = []
    if settings.validated:
        fields = fields_of(benchmark, outcome, budgets, train, settings.top)
        with clock.part("race", f"Racing {settings.top} candidates under each budget") as step:
            chosen = choose(benchmark, fields, plan, device=device, progress=step)
        with clock.part("validate", f"Sampling winners, {plan.images} images x {len(plan.seeds)} seeds") as step:
            sampled = validate(benchmark, fields, chosen, budgets, plan, scorer.predict, device=device, progress=step)
        winners, images = sampled.winners, sampled.images
    else:
        winners = predicted_only(benchmark, outcome, budgets)

    result = RunResult(
        settings=settings,
        folder=folder,
        leaderboard=None if board is None else board.path,
        problem=_benchmark_facts(benchmark),
        source=Source(name, len(train), ranks),
        budgets=budgets,
        outcome=outcome,
        winners=winners,
        validation=plan,
        environment=environment(device),
        seconds=clock.seconds,
        when=when.isoformat(timespec="seconds"),
    )
    with clock.part("write", "Writing results"):
        write_pareto(outcome, folder / "pareto.csv")
        write_winners(result, folder / "winners.csv")
        for budget, population in zip(budgets, outcome.populations, strict=True):
            write_population(result.population_file(budget), population, benchmark.space)
        for winner, batch in zip(winners, images, strict=False):  # no images without validation
            write_grid(batch, folder / f"samples-{winner.budget:.12g}.png")
        write_plot(result, benchmark, scorer, folder / "plot.png")
    result.write()
    if board is not None:
        board.append(COLUMNS.row(entry) for entry in result.leaderboard_entries())
    return result


def _search_only(settings: RunSettings, reporter: Reporter) -> RunResult:
    when = datetime.datetime.now().astimezone()
    checkpoint, table = settings.predictor_checkpoint, settings.latency
    assert checkpoint is not None and table is not None  # RunSettings has seen to it
    optimizer = optimizer_of(settings.optimizer)
    clock = Clock(reporter)
    with clock.part("load", f"Loading {checkpoint}"):
        predictor = open_checkpoint(settings)
        space = predictor.space
        assert space is not None  # both loaders give fitted predictors
        priced, scorer = PricedSpace(space, open_latency(settings, space)), Pessimist(predictor, settings.kappa)
        budgets = resolve_budgets(settings.budgets, priced.latency, f"one step of the fastest member of {table}")
        check_evaluations(optimizer, text_of(settings.optimizer), settings.evaluations, budgets)
    name = f"{space.solver}-{short_name(settings.optimizer)}-{checkpoint.stem}"
    folder = claim_folder(settings.output, name, when)
    with clock.part("search", f"Searching with {text_of(settings.optimizer)}") as step:
        outcome = search(
            optimizer, priced, scorer, budgets,
            evaluations=settings.evaluations, seed=settings.seed, progress=step,
        )  # fmt: skip
    result = RunResult(
        settings=settings,
        folder=folder,
        leaderboard=None,
        problem={**_space_facts(space), "latency_ms": priced.latency},
        source=Source(str(checkpoint), sha256=sha256(checkpoint)),
        budgets=budgets,
        outcome=outcome,
        winners=best_predicted(priced, outcome, budgets),
        validation=None,
        environment=environment("cpu"),
        seconds=clock.seconds,
        when=when.isoformat(timespec="seconds"),
    )
    for budget, population, winner in zip(budgets, outcome.populations, outcome.winners, strict=True):
        write_population(result.population_file(budget), population, space)
        write_schedule(result.schedule_file(budget), winner, space)
    write_pareto(outcome, folder / "pareto.csv")
    write_predicted_winners(result, folder / "winners.csv")
    result.write()
    return result


def _space_facts(space: ScheduleSpace) -> dict[str, Any]:
    return {"solver": space.solver, "num_models": space.num_models, "length": space.length}


def _benchmark_facts(benchmark: Benchmark) -> dict[str, Any]:
    return {
        "name": benchmark.name,
        "data_hash": benchmark.data_hash,
        "metric": benchmark.metric,
        "spacing": benchmark.spacing,
        **_space_facts(benchmark.space),
        "latency_ms": [float(ms) for ms in benchmark.latency],
    }
