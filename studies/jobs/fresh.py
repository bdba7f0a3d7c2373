"""What predictors know beyond the noise of their labels: tau on schedules measured again from other noise.

    python -m studies.jobs.fresh digits-ddim --predictor lstm:updates=400,lstm:updates=1600,gp

All labels of a dataset are sampled from the same starting noise, which a predictor can learn too; the
schedules that were measured again tell how much of what it ranks better is that. Only such
schedules count as are in no training split; the good ones are the better half.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Column, Table
from scipy.stats import kendalltau

from benchmarks import Benchmark, load_benchmark
from omsdpm.errors import InputError
from omsdpm.solvers import Schedules
from predictors import make_predictor


def measured_twice(benchmark: Benchmark) -> tuple[Schedules, np.ndarray, np.ndarray]:
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


def family(text: str) -> tuple[str, dict[str, Any]]:
    """``"lstm:updates=50:networks=2"`` as a name and parameters."""
    name, *settings = text.split(":")
    pairs = [setting.partition("=") for setting in settings]
    return name, {key: json.loads(value) for key, _, value in pairs}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", nargs="?", default="digits-ddim")
    parser.add_argument("--predictor", default="lstm:updates=400,lstm:updates=1600,gp")
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    try:
        Console().print(compared(args.benchmark, args.predictor.split(","), args.seeds))
    except InputError as error:
        parser.error(" ".join(str(error).split()))


def compared(name: str, predictors: Sequence[str], seeds: int) -> Table:
    """A row for each predictor, and one for the first measurement."""
    benchmark = load_benchmark(name)
    train = benchmark.dataset.subset("train")
    X, first, again = measured_twice(benchmark)
    good = first < np.median(first)
    table = Table(Column("predictor", no_wrap=True), "labels' noise", "good ones", "other noise", "good ones")
    for text in predictors:
        kind, parameters = family(text)
        taus = []
        for seed in range(seeds):
            known = {"noise": benchmark.noise, "latency": benchmark.latency, "random_state": seed}
            fitted = make_predictor(kind, space=benchmark.space, **known, **parameters).fit(train.X, train.y)
            scores = fitted.predict(X)
            taus.append([kendalltau(scores[k], y[k]).statistic for y in (first, again) for k in (slice(None), good)])
        table.add_row(text, *(f"{tau:.3f}" for tau in np.mean(taus, axis=0)))
    both = [kendalltau(first[k], again[k]).statistic for k in (slice(None), good)]
    table.add_row("the first measurement", "", "", *(f"{tau:.3f}" for tau in both))
    table.title = f"{benchmark.name}: {len(X)} schedules measured again, {seeds} seeds"
    return table


if __name__ == "__main__":
    main()
