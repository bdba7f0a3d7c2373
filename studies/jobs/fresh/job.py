"""What predictors know beyond the noise of their labels: tau on schedules measured again from other noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.files import check_writable
from omsdpm.solvers import Schedules
from studies.jobs.fresh.result import FreshResult, FreshRow
from studies.jobs.fresh.settings import FreshSettings
from studies.jobs.naming import benchmark_of, check_predictor, predictor_of, text_of
from studies.ranking import MIN_RANKED, Correlations, correlate
from studies.records.progress import SILENT, Reporter

if TYPE_CHECKING:
    from benchmarks import Benchmark

FIRST = "the first measurement"

Array = NDArray[np.float64]


def fresh(settings: FreshSettings, reporter: Reporter = SILENT) -> FreshResult:
    """Fits predictors on the training split and ranks schedules that were measured twice.

    Raises:
        InputError: an unknown predictor, or a benchmark without repeats.
    """
    if settings.output is not None:
        check_writable(settings.output)
    for thing in settings.predictors:
        if isinstance(thing, str):
            check_predictor(thing)
    benchmark = benchmark_of(settings.benchmark)
    train = benchmark.dataset.subset("train")
    X, first, again = measured_twice(benchmark)
    good = first < np.median(first)
    if np.count_nonzero(good) < MIN_RANKED:
        raise InputError(f"{benchmark.name} has {len(X)} schedules that were measured again: too few to rank")
    rows = []
    for thing in settings.predictors:
        name = text_of(thing)
        with reporter.part(f"Fitting {name}, {settings.seeds} seeds") as step:
            fits = []
            for seed in range(settings.seeds):
                scores = predictor_of(thing, benchmark, seed).fit(train.X, train.y).predict(X)
                fits.append([*_all_and_good(first, scores, good), *_all_and_good(again, scores, good)])
                step(seed + 1, settings.seeds)
        means = [float(np.mean([_tau(fit[part]) for fit in fits])) for part in range(4)]
        constant = any(part.constant for fit in fits for part in fit)
        rows.append(
            FreshRow(
                name=name, labels=means[0], labels_good=means[1], fresh=means[2], fresh_good=means[3], constant=constant
            )
        )
    both = [_tau(part) for part in _all_and_good(again, first, good)]
    rows.append(FreshRow(name=FIRST, labels=None, labels_good=None, fresh=both[0], fresh_good=both[1]))
    result = FreshResult(settings=settings, benchmark=benchmark.name, schedules=len(X), rows=tuple(rows))
    if settings.output is not None:
        result.write(settings.output)
    return result


def measured_twice(benchmark: Benchmark) -> tuple[Schedules, Array, Array]:
    """Schedules ``(n, L)`` that nothing is trained on, their scores from the dataset's noise and from other noise.

    Raises:
        InputError: a benchmark without repeats.
    """
    if benchmark.repeat is None:
        raise InputError(f"{benchmark.name} has no schedules that were measured again; digits-ddim has")
    dataset, train = benchmark.dataset, {row.tobytes() for row in benchmark.dataset.subset("train").X}
    first = {row.tobytes(): y for row, y in zip(dataset.X, dataset.y, strict=True)}
    rows = [i for i, row in enumerate(benchmark.repeat.X) if row.tobytes() not in train]
    X = benchmark.repeat.X[rows]
    return X, np.array([first[row.tobytes()] for row in X]), benchmark.repeat.y[rows]


def _all_and_good(measured: Array, predicted: Array, good: NDArray[np.bool_]) -> list[Correlations]:
    return [correlate(measured, predicted), correlate(measured[good], predicted[good])]


def _tau(ranks: Correlations) -> float:
    assert ranks.kendall_tau is not None  # two schedules or more
    return ranks.kendall_tau
