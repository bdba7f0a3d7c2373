"""Comparing predictors: fit each on subsets of the training split, judge all by the same protocol."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from omsdpm.devices import resolve_device, usable_cpus
from omsdpm.errors import InputError
from predictors import predictor_names
from studies import judging
from studies.jobs.compare.columns import COLUMNS, FOUND_BEST, Fit
from studies.jobs.compare.found import found_by_search
from studies.jobs.compare.measured import MeasuredProblem
from studies.jobs.compare.plot import write_learning_curves, write_predicted_against_measured
from studies.jobs.compare.predictions import predictions_path, write_predictions
from studies.jobs.compare.result import ONCE, Comparison, ComparisonFile, Key, Row
from studies.jobs.compare.settings import CompareSettings
from studies.jobs.naming import benchmark_of, check_predictor, predictor_of, text_of
from studies.jobs.run.settings import training_data
from studies.ranking import HELD_OUT, MIN_RANKED
from studies.records.environment import package_version
from studies.records.progress import SILENT, Reporter

if TYPE_CHECKING:
    from benchmarks import Benchmark

TRAIN_SIZES = (50, 100, 200, 400, 800, 1600)
"""Train sizes where none are given; those that the benchmark has."""


def compare(settings: CompareSettings, reporter: Reporter = SILENT) -> Comparison:
    """Fits every predictor on every train size with every seed; writes a row of ``predictors.csv`` for each.

    The protocol:

    - For seed s, the labels are the first ``size`` of ``default_rng(s).permutation`` of the
      training split, so that a larger size has all labels of a smaller one. They are all
      that the predictor gets, with ``random_state=s``: a family that wants validation
      labels holds some of them back itself.
    - Test and elite schedules are only predicted. Kendall's tau-b, Spearman's rho, precision at
      the top (part of the k predicted best that is among the k measured best) and coverage of
      central intervals are of test, one tau is of elite.
    - A dataset that is no benchmark has no budgets and no regret. Without splits of its own, seed s
      draws the half to train on, and the other half is test.
    - Regret under a budget is the measured score of the schedule predicted best within it,
      less the best measured score within it: over the whole space where a benchmark is
      tabular, else over test and elite together.
    - What a search finds, where it is asked for: `nsga2` on the predictor, as pessimistic as `run` is, under all
      budgets; the schedule predicted best under each, and the best of ten, are measured from the dataset's own noise.
    - Ties count against a predictor: equal predictions all over have tau 0, and of schedules
      predicted equally good the worst is taken.

    A row is appended as soon as its fit is judged, under a lock. Rows that are there already
    for the same data, predictor, size and seed are not made again, whichever version made
    them; remove them to have them made again. At the end the plots are drawn, of all the
    folder's rows for this benchmark; for one of them, the predictions of seed 0 on the
    largest size are kept.

    Args:
        settings: which predictors, on what; none means all, no sizes those of :data:`TRAIN_SIZES`
            that the benchmark has.
        reporter: is told the progress of each fit.

    Raises:
        InputError: something that cannot be used, before anything is fitted.
    """
    families = {text_of(thing): thing for thing in settings.predictors or predictor_names()}
    for thing in families.values():
        if isinstance(thing, str):
            check_predictor(thing)  # also imports it, which is no part of a fit's seconds
    benchmark, output = _problem_of(settings), settings.output
    sizes = _resolve_sizes(benchmark, settings.train_sizes)
    data = judging.candidates(benchmark)
    if np.count_nonzero(data.split == "test") < MIN_RANKED:
        raise InputError(f"benchmark {benchmark.name} has no test split: nothing could be judged")
    file = ComparisonFile(output)
    file.check()
    timed = judging.timed_schedules(benchmark.space)
    device = resolve_device(settings.device) if settings.search else "cpu"

    plan = [(name, size, seed) for seed in range(settings.seeds) for size in sizes for name in families]
    there = file.of(benchmark.name, benchmark.data_hash)
    todo = [key for key in plan if _lacking(there, key, settings)]
    if len(todo) < len(plan):
        reporter.note(f"skipped: {len(plan) - len(todo)} of {len(plan)} rows, which {file.path} has already")
    for number, (name, size, seed) in enumerate(todo, start=1):
        if not _lacking(file.of(benchmark.name, benchmark.data_hash), (name, size, seed), settings):
            continue  # another process made it meanwhile
        with reporter.part(f"[{number}/{len(todo)}] {name} on {size} schedules, seed {seed}"):
            if isinstance(benchmark, MeasuredProblem):
                benchmark = benchmark.of_seed(seed)
                data = benchmark.dataset[np.isin(benchmark.dataset.split, HELD_OUT)]
            train = training_data(benchmark, size, seed)
            predictor = predictor_of(families[name], benchmark, seed)
            start = time.perf_counter()
            predictor.fit(train.X, train.y)
            seconds = time.perf_counter() - start
            fit = Fit(
                when=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
                benchmark=benchmark,
                predictor=predictor,
                name=name,
                train_size=size,
                seed=seed,
                data=data,
                predicted=predictor.predict(data.X),
                fit_seconds=seconds,
                predictions_per_second=judging.predictions_per_second(predictor, timed),
                threads=os.environ.get("OMP_NUM_THREADS") or str(usable_cpus()),
                version=package_version("omsdpm"),
                found=found_by_search(benchmark, predictor, seed, device) if settings.search else None,
            )
            row = COLUMNS.row(fit)
            if (size, seed) == (max(sizes), 0):  # before the row, which says that all is there
                write_predictions(predictions_path(output, benchmark.name, name, size, seed), predictor, data)
            file.append([row], once=ONCE)
    comparison = Comparison.read(output, benchmark)
    with reporter.part("Drawing"):
        write_learning_curves(comparison, comparison.folder / f"learning-curves-{benchmark.name}.png")
        picture = comparison.folder / f"predicted-vs-measured-{benchmark.name}.png"
        missing = write_predicted_against_measured(comparison, picture)
    if missing:
        reporter.note(f"not in {picture.name}, because no predictions of seed 0 are kept: {', '.join(missing)}")
    return comparison


def _lacking(there: Mapping[Key, Row], key: Key, settings: CompareSettings) -> bool:
    """Whether a fit is to be made: no row is there, or one without what a search finds."""
    return key not in there or (settings.search and not there[key][FOUND_BEST])


def _problem_of(settings: CompareSettings) -> Any:
    """The benchmark, or the dataset as far as it can stand for one."""
    if settings.dataset is None:
        return benchmark_of(settings.benchmark)
    return MeasuredProblem.open(settings.dataset, settings.solver, settings.members, settings.latency)


def _resolve_sizes(benchmark: Benchmark, train_sizes: Sequence[int]) -> list[int]:
    """The train sizes, rising and without repetition."""
    if train_sizes:
        for size in train_sizes:
            training_data(benchmark, size, 0)  # refuses a size that the split has not
        return sorted(set(train_sizes))
    labels = len(benchmark.dataset.subset("train"))
    sizes = [size for size in TRAIN_SIZES if size <= labels]
    if isinstance(benchmark, MeasuredProblem) and labels >= MIN_RANKED and labels not in sizes:
        sizes.append(labels)  # all of a half, which is the paper's
    if not sizes:
        raise InputError(
            f"benchmark {benchmark.name} has {labels} training schedules, fewer than the smallest default size "
            f"{TRAIN_SIZES[0]}: give --train-sizes"
        )
    return sizes
