"""How many images a label of the active search is worth: what is found for as many images, in few labels or in many.

    OMP_NUM_THREADS=1 python -m benchmarks.speed.images [--benchmark digits-ddim] [--seeds 3] [--pair 500x100 ...]

A pair is images a label and labels. After the labels a search on the predictor follows, and its ten best candidates
and the three best labels under each budget race, as in ``omsdpm-bench run``: from 250 images of each of two seeds,
for all pairs alike. Winners are scored on seeds that nothing was chosen by. Rows go to
``benchmarks/leaderboards/images.csv``, in place of those of the same benchmark, pair and seed.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.problem import Benchmark
from benchmarks.registry import load_benchmark
from omsdpm.solvers import Schedules
from studies import make_optimizer
from studies.active import ActiveSearch, LabelStore
from studies.jobs.run.race import race
from studies.jobs.run.search import PricedSpace, search, side_by_side
from studies.jobs.run.settings import EVALUATIONS, TOP
from studies.jobs.run.winners import LABELS
from studies.pessimist import KAPPA, Pessimist
from studies.records.tables import compact, write_csv

OUTPUT = Path(__file__).parents[1] / "leaderboards" / "images.csv"

PAIRS = ((1000, 50), (500, 100), (250, 200), (250, 100), (125, 400))
"""Images a label, and labels: 50,000 images but for the last but one, which has half as many."""

RACED, RACE_SEEDS = 250, (1001, 1002)
REPORTED, REPORT_SEEDS = 1000, (3001, 3002, 3003, 3004, 3005)


def candidates(benchmark: Benchmark, images: int, labels: int, seed: int) -> list[Schedules]:
    """Under each budget the schedules that race, ``(n, L)``, after ``labels`` labels of ``images`` images."""
    priced, optimizer = PricedSpace(benchmark.space, benchmark.latency), make_optimizer("nsga2")
    meter = benchmark.measurement.with_noise(images=images, seed=benchmark.measurement.seed).open()

    def make(seed: int) -> Any:
        return benchmark.predictor("gp", random_state=seed)

    with tempfile.TemporaryDirectory() as folder:
        store = LabelStore(Path(folder) / "labels.parquet", benchmark.space, benchmark.metric, {})
        ActiveSearch(priced, benchmark.budgets, optimizer, make, meter.measure, seed=seed).run(store, labels)
        data = store.dataset
    predictor = make(seed).fit(data.X, data.y)
    warily, at_its_word = (
        search(
            optimizer, priced, Pessimist(predictor, kappa), benchmark.budgets,
            evaluations=EVALUATIONS // 2, seed=seed, progress=lambda done, total: None,
        )
        for kappa in (KAPPA, 0.0)
    )  # fmt: skip
    cost = benchmark.space.latency(data.X, benchmark.latency)
    order = np.argsort(data.y, kind="stable")
    pools = zip(benchmark.budgets, side_by_side(warily, at_its_word).populations, strict=True)
    return [np.concatenate([own[:TOP], data.X[order[cost[order] <= budget][:LABELS]]]) for budget, own in pools]


def winners(benchmark: Benchmark, fields: Sequence[Schedules]) -> Schedules:
    """``(b, L)``: of each budget who wins its race."""
    canonical = benchmark.space.canonical(np.concatenate(fields))
    unique, rows = np.unique(canonical, axis=0, return_inverse=True)
    ends = np.cumsum([len(field) for field in fields])[:-1]
    groups = [group.tolist() for group in np.split(rows.reshape(-1), ends)]
    contest = benchmark.contest(unique, images=RACED, seeds=RACE_SEEDS)
    ranked, _ = race(contest, groups, RACED * len(RACE_SEEDS))
    return unique[[order[0] for order in ranked]]


def rows_of(benchmark: Benchmark, images: int, labels: int, seed: int) -> Iterator[Mapping[str, Any]]:
    """What is found, a budget a row."""
    start = time.perf_counter()
    fields = candidates(benchmark, images, labels, seed)
    searched = time.perf_counter() - start
    found = winners(benchmark, fields)
    scores: NDArray[np.float64] = benchmark.validate(found, images=REPORTED, seeds=REPORT_SEEDS).scores
    for budget, x, own in zip(benchmark.budgets, found, scores, strict=True):
        yield {
            "images": images, "labels": labels, "seed": seed, "budget_ms": f"{budget:g}",
            "score": f"{own.mean():.6g}", "scores": " ".join(f"{score:.6g}" for score in own),
            "schedule": compact(x), "seconds": f"{searched:.1f}",
        }  # fmt: skip


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main() -> None:
    """Measures all pairs and prints mean scores under each budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", default="digits-ddim")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--pair", action="append", metavar="IMAGESxLABELS", help="repeatable; all without it")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    asked = parser.parse_args()
    pairs = [tuple(map(int, pair.split("x"))) for pair in asked.pair] if asked.pair else PAIRS
    benchmark = load_benchmark(asked.benchmark)
    facts = {"benchmark": benchmark.name, "data_hash": benchmark.data_hash, "version": version("omsdpm")}
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        for images, labels in pairs:
            new = [{**row, **facts} for row in rows_of(benchmark, images, labels, seed)]
            key = [str(new[0][name]) for name in ("benchmark", "images", "labels", "seed")]
            kept = [
                row for row in _read(asked.output) if [row[n] for n in ("benchmark", "images", "labels", "seed")] != key
            ]
            write_csv(asked.output, list(new[0]), [list(row.values()) for row in [*kept, *new]])
            print(f"{images} images, {labels} labels, seed {seed}:", *(row["score"] for row in new), flush=True)
    print(f"{'images':>6} {'labels':>6}", *(f"{budget:>8g}" for budget in benchmark.budgets))
    rows = [row for row in _read(asked.output) if row["benchmark"] == benchmark.name]
    for images, labels in dict.fromkeys((row["images"], row["labels"]) for row in rows):
        own = [row for row in rows if (row["images"], row["labels"]) == (images, labels)]
        means = [
            np.mean([float(row["score"]) for row in own if row["budget_ms"] == f"{budget:g}"])
            for budget in benchmark.budgets
        ]
        print(f"{images:>6} {labels:>6}", *(f"{mean:8.3f}" for mean in means))
    print(asked.output)


if __name__ == "__main__":
    main()
