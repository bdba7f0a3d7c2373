"""Comparing predictors: fit each on subsets of the training split, judge all by the same protocol."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import benchmarks
from omsdpm.dataset import ScheduleDataset
from omsdpm.errors import InputError
from predictors import predictor_class, predictor_names
from studies import judging
from studies.jobs.compare.plot import write_learning_curves, write_predicted_against_measured
from studies.jobs.compare.predictions import predictions_path, write_predictions
from studies.jobs.compare.result import Comparison, ComparisonFile
from studies.jobs.run.settings import training_data
from studies.ranking import unfitted
from studies.records.environment import package_version
from studies.records.progress import Reporter

if TYPE_CHECKING:
    from benchmarks import Benchmark
    from predictors import Predictor

TRAIN_SIZES = (50, 100, 200, 400, 800, 1600)
"""Train sizes where none are given; those that the benchmark has."""

LEAST = 2
"""Fewest schedules that can be ranked."""


def compare(
    benchmark_name: str,
    output: str | Path,
    reporter: Reporter,
    *,
    predictors: Sequence[str] = (),
    train_sizes: Sequence[int] = (),
    seeds: int = 5,
) -> Comparison:
    """Fits every predictor on every train size with every seed; writes a row of ``predictors.csv`` for each.

    The protocol:

    - For seed s, the labels are the first ``size`` of ``default_rng(s).permutation`` of the
      training split, so that a larger size has all labels of a smaller one. They are all
      that the predictor gets, with ``random_state=s``: a family that wants validation
      labels holds some of them back itself.
    - Test and elite schedules are only predicted. Kendall's tau-b, Spearman's rho, precision at
      the top (part of the k predicted best that is among the k measured best) and coverage of
      central intervals are of test, one tau is of elite.
    - Regret under a budget is the measured score of the schedule predicted best within it,
      less the best measured score within it: over the whole space where a benchmark is
      tabular, else over test and elite together.
    - Ties count against a predictor: equal predictions all over have tau 0, and of schedules
      predicted equally good the worst is taken.

    A row is appended as soon as its fit is judged, under a lock. Rows that are there already
    for the same data, predictor, size and seed are not made again, whichever version made
    them; remove them to have them made again. At the end the plots are drawn, of all the
    folder's rows for this benchmark; for one of them, the predictions of seed 0 on the
    largest size are kept.

    Args:
        benchmark_name: a registered name.
        output: folder for the results, new or one that is to be continued.
        reporter: is told the progress of each fit.
        predictors: registered names; empty for all.
        train_sizes: empty for those of :data:`TRAIN_SIZES` that the benchmark has.
        seeds: how many seeds, from 0.

    Raises:
        InputError: something that cannot be used, before anything is fitted.
    """
    names = list(dict.fromkeys(predictors)) or predictor_names()
    for name in names:
        predictor_class(name)  # also imports it, which is no part of a fit's seconds
    benchmark = benchmarks.load_benchmark(benchmark_name)
    sizes = _resolve_sizes(benchmark, train_sizes)
    data = judging.candidates(benchmark)
    if np.count_nonzero(data.split == "test") < LEAST:
        raise InputError(f"benchmark {benchmark.name} has no test split: nothing could be judged")
    file = ComparisonFile(output)
    file.check()
    timed = judging.timed_schedules(benchmark.space)

    plan = [(name, size, seed) for seed in range(seeds) for size in sizes for name in names]
    there = file.of(benchmark.name, benchmark.data_hash)
    todo = [key for key in plan if key not in there]
    if len(todo) < len(plan):
        reporter.note(f"skipped: {len(plan) - len(todo)} of {len(plan)} rows, which {file.path} has already")
    for number, (name, size, seed) in enumerate(todo, start=1):
        if (name, size, seed) in file.of(benchmark.name, benchmark.data_hash):
            continue  # another process made it meanwhile
        with reporter.part(f"[{number}/{len(todo)}] {name} on {size} schedules, seed {seed}"):
            train = training_data(benchmark, size, seed)
            predictor = unfitted(name, benchmark, seed)
            start = time.perf_counter()
            predictor.fit(train.X, train.y)
            seconds = time.perf_counter() - start
            measures = _measures(benchmark, predictor, data)
            measures["predictions_per_second"] = _text(judging.predictions_per_second(predictor, timed))
            key = {"predictor": name, "train_size": size, "seed": seed, "fit_seconds": _text(seconds)}
            if (size, seed) == (max(sizes), 0):  # before the row, which says that all is there
                write_predictions(predictions_path(output, benchmark.name, name, size, seed), predictor, data)
            file.append([{**_circumstances(benchmark), **key, **measures}])
    rows = file.of(benchmark.name, benchmark.data_hash)
    comparison = Comparison(benchmark.name, benchmark.metric, Path(output), rows)
    with reporter.part("Drawing"):
        write_learning_curves(comparison, comparison.folder / f"learning-curves-{benchmark.name}.png")
        picture = comparison.folder / f"predicted-vs-measured-{benchmark.name}.png"
        missing = write_predicted_against_measured(comparison, picture)
    if missing:
        reporter.note(f"not in {picture.name}, because no predictions of seed 0 are kept: {', '.join(missing)}")
    return comparison


def _resolve_sizes(benchmark: Benchmark, train_sizes: Sequence[int]) -> list[int]:
    """The train sizes, rising and without repetition."""
    if train_sizes:
        for size in train_sizes:
            training_data(benchmark, size, 0)  # refuses a size that the split has not
        return sorted(set(train_sizes))
    labels = len(benchmark.dataset.subset("train"))
    sizes = [size for size in TRAIN_SIZES if size <= labels]
    if not sizes:
        raise InputError(
            f"benchmark {benchmark.name} has {labels} training schedules, fewer than the smallest default size "
            f"{TRAIN_SIZES[0]}: give --train-sizes"
        )
    return sizes


def _circumstances(benchmark: Benchmark) -> dict[str, object]:
    """What a row was made of and with, but for the predictor."""
    return {
        "when": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "benchmark": benchmark.name,
        "data_hash": benchmark.data_hash,
        "budgets_ms": " ".join(f"{budget:.12g}" for budget in benchmark.budgets),
        "threads": os.environ.get("OMP_NUM_THREADS") or os.cpu_count(),
        "version": package_version("omsdpm"),
    }


def _measures(benchmark: Benchmark, predictor: Predictor, data: ScheduleDataset) -> dict[str, str]:
    """The protocol's measures of a fitted predictor, as text by column."""
    predicted = predictor.predict(data.X)
    test, elite = data.split == "test", data.split == "elite"
    tau, rho = judging.rank_correlations(data.y[test], predicted[test])
    elite_tau, _ = judging.rank_correlations(data.y[elite], predicted[elite])
    latency = benchmark.space.latency(data.X, list(benchmark.latency))
    regret, best = judging.regrets(data.y, predicted, latency, benchmark.budgets)
    found = {
        "kendall_tau": _text(tau),
        "spearman": _text(rho),
        "elite_kendall_tau": _text(elite_tau),
        "regret": " ".join(map(_text, regret)),
        "mean_regret_percent": _text(judging.mean_regret_percent(regret, best)),
    }
    for percent in (1, 5):
        precision = judging.top_precision(data.y[test], predicted[test], percent)
        found[f"precision_top_{percent}_percent"] = _text(precision)
    for percent in (50, 90):
        held = _text(judging.coverage(predictor, data[test], percent / 100)) if predictor.has_std else ""
        found[f"coverage_{percent}"] = held
    return found


def _text(value: float) -> str:
    return f"{value:.6g}"
