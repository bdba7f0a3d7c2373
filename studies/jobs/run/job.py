"""The main job: fit or open a predictor, or measure labels for one; search on it, validate, write."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from omsdpm.latency import LatencyTable
from omsdpm.released import write_population, write_schedule
from studies.jobs.naming import check_predictor, optimizer_of, predictor_of, short_name, text_of
from studies.jobs.run.checkpoint import open_checkpoint, open_latency, sha256
from studies.jobs.run.collect import LABELS_FILE, check_labels, check_workers, collect
from studies.jobs.run.folder import RunFolder, data_facts, finished, open_run
from studies.jobs.run.report import Begun, report, search_twice, space_facts
from studies.jobs.run.result import RunResult, Source, write_pareto, write_predicted_winners
from studies.jobs.run.search import PricedSpace, SearchOutcome, check_evaluations, search
from studies.jobs.run.settings import RunSettings, resolve_budgets, training_data
from studies.jobs.run.winners import best_predicted
from studies.pessimist import Pessimist
from studies.ranking import Correlations, fit, ranking, ranking_line
from studies.records.environment import environment
from studies.records.leaderboard import Leaderboard
from studies.records.progress import SILENT, Clock, Reporter

if TYPE_CHECKING:
    from omsdpm.dataset import ScheduleDataset
    from omsdpm.solvers import ScheduleSpace
    from predictors import Predictor


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
    if isinstance(settings.predictor, str):
        check_predictor(settings.predictor)
    if settings.active:
        check_labels(settings.spent)
    clock = Clock(reporter)
    with clock.part("load", f"Loading {text_of(settings.benchmark)}"):
        benchmark = settings.open_benchmark(Path())
        own = ", ".join(f"{budget:g}" for budget in benchmark.budgets)
        budgets = resolve_budgets(
            settings.budgets or benchmark.budgets,
            benchmark.latency,
            f"the cheapest schedule of {benchmark.name}",
            f"its own budgets are {own} ms",
        )
        if settings.active:
            check_workers(settings, benchmark)
        train = None if settings.active else training_data(benchmark, settings.train_size, settings.seed)
        begun = Begun(settings, benchmark, budgets, reporter, clock, when)
    board = Leaderboard(settings.leaderboard) if settings.validated else None
    if board is not None:
        board.check()
        benchmark.check_comparable()  # told before a predictor is fitted for nothing
    if settings.validated or settings.active:
        begun.prepare()
    facts = data_facts(benchmark, begun.device)
    more = {"grows": "labels", "labels": LABELS_FILE} if settings.active else {}
    with open_run(settings, facts, settings.output, begun.name, when, **more) as folder:
        result = finished(folder, settings)
        reporter.note(folder.words(done=result is not None))
        if result is None:
            predictor, labels, ranks = _fitted(begun, folder, train)
            result = report(begun, folder, predictor, labels, ranks, validated=settings.validated, board=board)
        elif begun.optimizer.watched:  # who watched was killed before it could keep what it saw
            predictor, _, _ = _fitted(begun, folder, train)
            search_twice(begun, Pessimist(predictor, settings.kappa), lambda done, total: None)
        if board is not None:
            result = replace(result, leaderboard=board.path)
            board.add(result)
        folder.done()
    return result


def _fitted(
    begun: Begun, folder: RunFolder, train: ScheduleDataset | None
) -> tuple[Predictor, ScheduleDataset, dict[str, Correlations]]:
    """The predictor, what it was fitted on, and how well it ranks; measures the labels of an active search."""
    settings, benchmark, clock = begun.settings, begun.benchmark, begun.clock
    assert isinstance(settings, RunSettings)
    if train is None:
        facts = {"benchmark": benchmark.name, "data": benchmark.data_hash, "seed": settings.seed}
        labels = collect(begun, folder, LABELS_FILE, facts, settings.spent)
    else:
        labels = train

    def make() -> Predictor:
        predictor = predictor_of(settings.predictor, benchmark, settings.seed)
        return predictor.fit(labels.X, labels.y) if settings.active else fit(predictor, benchmark, labels)

    with folder.part(clock, "fit", f"Fitting {begun.predictor_name} on {len(labels)} schedules"):
        predictor = folder.predictor(make)
        ranks = ranking(predictor, benchmark.dataset)
    begun.reporter.note(ranking_line(begun.predictor_name, ranks))
    return predictor, labels, ranks


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
        digest = sha256(checkpoint)
        facts = {"predictor": digest, "latencies": ", ".join(f"{ms:g}" for ms in priced.latency)}
        facts |= {name: f"{ms:g}" for name, ms in LatencyTable.of(priced.latency).terms().items()}
    with open_run(settings, facts, settings.output, name, when) as folder:
        result = finished(folder, settings)
        reporter.note(folder.words(done=result is not None))
        if result is None:
            with folder.part(clock, "search", f"Searching with {text_of(settings.optimizer)}") as step:
                outcome = folder.outcome(
                    lambda: search(
                        optimizer, priced, scorer, budgets,
                        evaluations=settings.evaluations, seed=settings.seed, progress=step,
                    )
                )  # fmt: skip
            result = _written(settings, folder, space, priced, digest, budgets, outcome, clock)
        folder.done()
    return result


def _written(
    settings: RunSettings,
    folder: RunFolder,
    space: ScheduleSpace,
    priced: PricedSpace,
    digest: str,
    budgets: list[float],
    outcome: SearchOutcome,
    clock: Clock,
) -> RunResult:
    """The result of a search without a benchmark, and its files."""
    result = RunResult(
        settings=settings,
        folder=folder.path,
        leaderboard=None,
        problem={**space_facts(space), **LatencyTable.of(priced.latency).facts()},
        source=Source(str(settings.predictor_checkpoint), sha256=digest),
        budgets=budgets,
        outcome=outcome,
        winners=best_predicted(priced, outcome, budgets),
        validation=None,
        environment=environment("cpu"),
        seconds=clock.seconds,
        when=folder.when,
        run_id=folder.run_id,
    )
    for budget, population, winner in zip(budgets, outcome.populations, outcome.winners, strict=True):
        write_population(result.population_file(budget), population, space)
        write_schedule(result.schedule_file(budget), winner, space)
    write_pareto(outcome, folder.path / "pareto.csv")
    write_predicted_winners(result, folder.path / "winners.csv")
    result.write()
    return result
