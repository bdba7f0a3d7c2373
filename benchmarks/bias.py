"""How much too large the distances of a benchmark are, as its images are few: measured by a command, kept in a table.

A Fréchet distance of ``n`` images is too large by about ``c / n``, and ``c`` depends on the schedule. For a
handful of schedules, from the best to a poor one, this measures the distance at several ``n`` from one large
set of fresh images, and the limit that ``fd-inf`` extrapolates to::

    python -m benchmarks.bias digits-tab digits-ddim digits-dpm --output benchmarks/leaderboards/bias.csv

The card of a benchmark reads the table and measures nothing.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from omsdpm.errors import InputError
from omsdpm.files import replacing

if TYPE_CHECKING:
    from benchmarks.problem import Benchmark

BIAS_FILE = Path(__file__).parent / "leaderboards" / "bias.csv"

DATA = (Path(__file__).parent / "data").resolve()
"""Where the embedded benchmarks are."""

IMAGES = (200, 400, 1000, 2000, 5000)
"""Numbers of images; the last is how many are sampled."""

RANKS = (0.0, 0.1, 0.3, 0.6, 0.9)
"""Of the schedules among the measured ones, the best first."""

SEED = 7001
"""Of the noise, which nothing else has."""


@dataclass(frozen=True)
class Bias:
    """The distance of one schedule at one number of images, and its limit.

    Attributes:
        benchmark, metric: what is scored, and with what.
        rank: of the schedule among the measured ones, 0 the best and 1 the worst.
        schedule: its members, image end first.
        images: whose distance ``score`` is, mean over as many disjoint sets as there are.
        limit: of infinitely many images, by extrapolation, with its standard error.
    """

    benchmark: str
    metric: str
    rank: float
    schedule: str
    images: int
    score: float
    limit: float
    limit_error: float
    seed: int

    @property
    def excess(self) -> float:
        """How much too large the score is."""
        return self.score - self.limit


def measure_bias(benchmark: Benchmark, *, ranks: Sequence[float] = RANKS, seed: int = SEED) -> Iterator[Bias]:
    """Samples schedules of a benchmark with more and more images.

    Args:
        benchmark: whose metric is a Fréchet distance.
        ranks: of the schedules among the measured ones, 0 the best and 1 the worst.
        seed: of the noise.

    Raises:
        InputError: another metric.
    """
    from omsdpm.fid import Statistics
    from omsdpm.scoring.metrics import OpenMetric
    from omsdpm.scoring.metrics.fd import FrechetMetric
    from omsdpm.scoring.metrics.fd_inf import FrechetLimitMetric
    from omsdpm.scoring.metrics.opening import feature_network

    meter = benchmark.measurement.open()
    network = feature_network(benchmark.measurement.metric)
    if network is None or not isinstance(meter.metric.fresh(), FrechetMetric):
        raise InputError(f"benchmark {benchmark.name} is scored with {benchmark.metric}: expected a Fréchet distance")
    limit = OpenMetric(f"fd-inf[features={network}]", meter.metric.context)
    reference, features = meter.metric.context.statistics(network), meter.metric.context.features(network)
    order = np.argsort(benchmark.dataset.y)
    rows = [order[round(rank * (len(order) - 1))] for rank in ranks]
    X, most = benchmark.dataset.X[rows], max(IMAGES)
    begun = [cast(FrechetLimitMetric, limit.fresh()) for _ in rows]
    kept: list[list[np.ndarray]] = [[] for _ in rows]
    for row, first, x_0 in meter.sampler.batches(X, most, seed):
        begun[row].update(x_0, first)
        kept[row].append(features(x_0))
    shuffled = np.random.default_rng(seed).permutation(most)
    for row, rank in enumerate(ranks):
        images = np.concatenate(kept[row])[shuffled]
        value, error = begun[row].value(), begun[row].error()
        assert error is not None  # of so many images there is one
        for n in IMAGES:
            sets = [images[at : at + n] for at in range(0, most - n + 1, n)]
            yield Bias(
                benchmark=benchmark.name,
                metric=benchmark.metric,
                rank=rank,
                schedule=" ".join(map(str, X[row].tolist())),
                images=n,
                score=float(np.mean([reference.distance(Statistics.of(one)) for one in sets])),
                limit=value,
                limit_error=error,
                seed=seed,
            )


def read_bias(benchmark: Benchmark, path: Path = BIAS_FILE) -> list[Bias]:
    """What was measured of an embedded benchmark with its metric; nothing of others, whatever they are called."""
    if not path.is_file():
        return []
    kinds = {field.name: {"int": int, "float": float}.get(str(field.type), str) for field in fields(Bias)}
    with path.open(newline="", encoding="utf-8") as file:
        rows = [Bias(**{key: kinds[key](value) for key, value in row.items()}) for row in csv.DictReader(file)]
    named = [row for row in rows if (row.benchmark, row.metric) == (benchmark.name, benchmark.metric)]
    return named if named and benchmark.folder.resolve().is_relative_to(DATA) else []


def bias_at(rows: Sequence[Bias], images: int) -> list[Bias]:
    """The excess of each schedule at a number of images: in proportion to ``1 / n`` where it was not measured."""
    nearest = min((row.images for row in rows), key=lambda n: abs(np.log(n / images)), default=0)
    return [
        Bias(**{**asdict(row), "images": images, "score": row.limit + row.excess * nearest / images})
        for row in sorted(rows, key=lambda row: row.rank)
        if row.images == nearest
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures benchmarks and writes the table."""
    from benchmarks import load_benchmark

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmarks", nargs="+", metavar="BENCHMARK")
    parser.add_argument("--output", type=Path, default=BIAS_FILE)
    given = parser.parse_args(arguments)
    rows: list[Bias] = []
    for name in given.benchmarks:
        for bias in measure_bias(load_benchmark(name)):
            print(f"{name} {bias.rank:.0%} {bias.images:>5} {bias.score:8.4f}  limit {bias.limit:.4f}", file=sys.stderr)
            rows.append(bias)
    with replacing(given.output) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Bias)], lineterminator="\n")
        writer.writeheader()
        for bias in rows:
            values = asdict(bias)
            writer.writerow(
                {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in values.items()}
            )


if __name__ == "__main__":
    main()
