"""Sampling populations with shared beginnings against one schedule at a time.

    python -m benchmarks.speed.population

Three populations of the embedded digits: a whole space (every schedule of 4 members and 6
slots), the paper's random designs, and the final population of an NSGA-II run. Each is
sampled by `sample_population` and by `sample` in a loop, from the same noise; where the
loop would take too long, it runs on a random part and its time is scaled by evaluations.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks import load_benchmark
from omsdpm.sampling import Count, sample, sample_population
from omsdpm.scoring.measurement import Measurement, Meter
from predictors import make_predictor
from studies import SearchProblem, make_optimizer

ONE_BY_ONE = 300
"""Most schedules that the loop samples."""


def populations() -> Iterator[tuple[str, Measurement, NDArray[np.int64]]]:
    """Name, measurement and schedules of each population."""
    large = load_benchmark("digits-ddim")
    small = Measurement(large.measurement.zoo, "ddim", 6, members=(1, 2, 3, 4))
    yield "whole space, 6 slots, 4 members", small, small.space.enumerate()
    rng = np.random.default_rng(0)
    yield "random designs, 25 slots", large.measurement, large.space.random(1000, rng, null=0.6)
    train = large.dataset.subset("train")
    predictor = make_predictor("gbdt", space=large.space, latency=large.latency).fit(train.X, train.y)
    problem = SearchProblem(space=large.space, predictor=predictor, latency=large.latency, budget=max(large.budgets))
    result = make_optimizer("nsga2").run(problem, evaluations=10_000, seed=0)
    yield "final population of NSGA-II, 25 slots", large.measurement, result.X


def compare(meter: Meter, X: NDArray[np.int64], images: int, group: bool) -> tuple[Count, float, float]:
    """Evaluations, seconds shared, seconds one by one."""
    m = meter.measurement
    x_T = meter.zoo.starting_noise(images, seed=0)
    for denoiser in meter.zoo.denoisers:
        denoiser(x_T, 500.0)  # warm-up
    count = Count()
    start = time.perf_counter()
    last = {}
    for row, x_0 in sample_population(
        meter.zoo.denoisers, X, x_T, space=m.space, noise=m.noise, group_siblings=group, count=count
    ):
        last = {row: x_0}
    shared = time.perf_counter() - start

    part = np.random.default_rng(1).permutation(len(X))[:ONE_BY_ONE]
    start = time.perf_counter()
    for row in part:
        sample(meter.zoo.denoisers, X[row], x_T, space=m.space, noise=m.noise)
    alone = (time.perf_counter() - start) * count.one_by_one / m.space.nfe(X[part]).sum()

    ((row, x_0),) = last.items()
    difference = (sample(meter.zoo.denoisers, X[row], x_T, space=m.space, noise=m.noise) - x_0).abs().max()
    if difference > 1e-3:
        raise RuntimeError(f"the two ways disagree by {difference:.2g}: the comparison means nothing")
    return count, shared, alone


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20, help="images a schedule")
    parser.add_argument("--group-siblings", action="store_true", help="batch the branches of a point by member")
    args = parser.parse_args()
    table = Table(caption=f"{args.images} images a schedule", caption_justify="left")
    for column in (
        "population",
        "schedules",
        "evaluations alone",
        "shared",
        "ratio",
        "seconds alone",
        "shared",
        "ratio",
    ):
        table.add_column(column, justify="left" if column == "population" else "right")
    for name, measurement, X in populations():
        count, shared, alone = compare(measurement.open(), X, args.images, args.group_siblings)
        table.add_row(
            name, f"{len(X):,}", f"{count.one_by_one:,}", f"{count.evaluations:,}",
            f"{count.one_by_one / count.evaluations:.2f}", f"{alone:.1f}", f"{shared:.1f}", f"{alone / shared:.2f}",
        )  # fmt: skip
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
