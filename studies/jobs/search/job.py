"""Schedules of somebody's zoo: measure where it decides, search, race, report."""

from __future__ import annotations

import datetime
from pathlib import Path

from benchmarks import Benchmark
from omsdpm.dataset.recipe import DATASET_FILE
from omsdpm.scoring.identity import identity_digest
from studies.jobs.naming import check_predictor, predictor_of
from studies.jobs.run.collect import check_labels, collect
from studies.jobs.run.folder import data_facts, finished, open_run
from studies.jobs.run.report import Begun, report
from studies.jobs.run.result import RunResult
from studies.jobs.run.settings import resolve_budgets
from studies.jobs.search.settings import SearchSettings
from studies.records.progress import SILENT, Clock, Reporter

RACING_LABELS = 10
"""Best labels that race under each budget: they are what the search has paid for."""


def search(settings: SearchSettings, reporter: Reporter = SILENT) -> RunResult:
    """Measures labels of a zoo where they decide, searches on them, and reports the winners.

    Args:
        settings: what to do.
        reporter: is told the progress of each part.

    Raises:
        InputError: something in ``settings`` cannot be used.

    Example:
        >>> result = search(SearchSettings(zoo="my-zoo", reference="images", budgets=(300, 450)))
        >>> result.winners[0].schedule
    """
    when = datetime.datetime.now().astimezone()
    if isinstance(settings.predictor, str):
        check_predictor(settings.predictor)
    check_labels(settings.labels)
    clock = Clock(reporter)
    with clock.part("load", f"Loading {settings.zoo}"):
        benchmark = settings.open_benchmark(Path())
        budgets = resolve_budgets(settings.budgets, benchmark.latency, f"the cheapest schedule of {settings.zoo}")
        begun = Begun(settings, benchmark, budgets, reporter, clock, when)
        facts = {"measured": identity_digest(benchmark.measurement), "seed": settings.seed}
    numbers = benchmark.measurement.numbers
    if numbers != tuple(range(1, len(numbers) + 1)):  # as the table, the plot and winners.csv count them
        counted = ", ".join(f"{at} is the zoo's {number}" for at, number in enumerate(numbers, start=1))
        reporter.note(f"members are counted among those that take part: {counted}")
    begun.prepare()
    with open_run(
        settings, data_facts(benchmark, begun.device, stored=False), settings.output, begun.name, when,
        grows="labels", labels=DATASET_FILE,
    ) as folder:  # fmt: skip
        result = finished(folder, settings)
        reporter.note(folder.words(done=result is not None))
        if result is None:
            labels = collect(begun, folder, DATASET_FILE, facts, settings.labels)
            begun.benchmark = _with_folder(benchmark, settings, folder.path)
            with folder.part(clock, "fit", f"Fitting {begun.predictor_name} on {len(labels)} labels"):
                predictor = folder.predictor(
                    lambda: predictor_of(settings.predictor, benchmark, settings.seed).fit(labels.X, labels.y)
                )
            result = report(begun, folder, predictor, labels, {}, validated=True, labels=RACING_LABELS)
        folder.done()
    return result


def _with_folder(benchmark: Benchmark, settings: SearchSettings, folder: Path) -> Benchmark:
    """The same problem, with the labels as its dataset."""
    return settings.open_benchmark(folder)
