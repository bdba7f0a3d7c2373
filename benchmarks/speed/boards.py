"""The committed leaderboards of optimizers, strategies and searches that label, on exact answers.

    python -m benchmarks.speed.boards optimizers
    python -m benchmarks.speed.boards strategies
    python -m benchmarks.speed.boards active --seeds 10
    python -m benchmarks.speed.boards active --seeds 10 --benchmark digits-ddim

Each writes `benchmarks/leaderboards/NAME.csv` anew, a row a (name, seed, ...), with versions; rows of
another benchmark stay. The benchmark is `digits-tab` unless said otherwise, whose every schedule is measured:
a score is looked up, and regret is a score over the best there is under the budget, less 1. `active` alone takes
other benchmarks too, whose schedules are sampled; their regret is not known.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.comparison import compare_strategies
from benchmarks.problem import Benchmark
from benchmarks.registry import load_benchmark
from benchmarks.speed.optimizers import measure
from benchmarks.speed.spending import NESTED, WAYS
from benchmarks.strategies.registry import strategy_names
from benchmarks.tabular import TabularBenchmark
from studies import optimizer_names
from studies.records.tables import compact, write_csv

OUTPUT = Path(__file__).parents[1] / "leaderboards"

EVALUATIONS = (300, 1000)
"""Of an optimizer."""

SLOW = ("optuna-gp",)
"""Optimizers that take a second an evaluation: they are asked for the fewest only."""

LABELS = (25, 60, 100)
"""After which a way to spend them is looked at."""

Rows = Iterable[Mapping[str, Any]]


def optimizers(benchmark: TabularBenchmark, seeds: Sequence[int]) -> Rows:
    """Hypervolume and regret of each optimizer on the oracle."""
    for name in optimizer_names():
        for evaluations in EVALUATIONS[: 1 if name in SLOW else None]:
            for seed in seeds:
                searched = measure(benchmark, name, evaluations, seed)
                yield {
                    "optimizer": name, "evaluations": evaluations, "seed": seed,
                    "hypervolume": f"{searched.hypervolume:.6f}", "regret": f"{searched.regret:.6f}",
                }  # fmt: skip


def strategies(benchmark: TabularBenchmark, seeds: Sequence[int]) -> Rows:
    """The best that each strategy has under each budget, and the labels it spends; or why it has none."""
    names = [name for name in strategy_names() if name != "guidance-interval"]  # its members come in pairs
    for seed in seeds:
        for row in compare_strategies(benchmark, names=names, seed=seed):
            (optimum,) = benchmark.optimum(row.budget).y
            yield {
                "strategy": row.strategy, "budget_ms": f"{row.budget:g}", "seed": seed, "labels": row.labels,
                "score": "" if row.score is None else f"{row.score:.6g}",
                "regret": "" if row.score is None else f"{row.score / optimum - 1:.6f}",
                "schedule": "" if row.schedule is None else compact(row.schedule),
                "reason": row.reason or "",
            }  # fmt: skip


def active(benchmark: Benchmark, seeds: Sequence[int]) -> Rows:
    """The best label under each budget after so many labels, by the active search and by other ways to spend them."""
    for way, spend in WAYS.items():
        for seed in seeds:
            start = time.perf_counter()
            whole = spend(benchmark, LABELS[-1], seed)
            for labels in LABELS:
                ledger = whole if way in NESTED or labels == LABELS[-1] else spend(benchmark, labels, seed)
                for budget, score in zip(benchmark.budgets, ledger.best(labels), strict=True):
                    regret = ""
                    if isinstance(benchmark, TabularBenchmark):
                        regret = f"{score / float(benchmark.optimum(budget).y[0]) - 1:.6f}"
                    yield {
                        "way": way, "seed": seed, "labels": labels, "spent": min(labels, len(ledger.y)),
                        "budget_ms": f"{budget:g}", "score": f"{score:.6g}", "regret": regret,
                    }  # fmt: skip
            print(f"{way}, seed {seed}: {len(whole.y)} labels, {time.perf_counter() - start:.0f} s")


BOARDS: dict[str, Callable[[Any, Sequence[int]], Rows]] = {
    "optimizers": optimizers,
    "strategies": strategies,
    "active": active,
}


def main() -> None:
    """Writes one board and prints the means of its regrets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("board", choices=BOARDS)
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--benchmark", default="digits-tab")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    benchmark = load_benchmark(arguments.benchmark)
    if not isinstance(benchmark, TabularBenchmark) and arguments.board != "active":
        parser.error(f"{arguments.board} looks scores up: {benchmark.name} is not measured as a whole")
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    facts = {"benchmark": benchmark.name, "data_hash": benchmark.data_hash, "version": version("omsdpm")}
    rows = [{**row, **facts} for row in BOARDS[arguments.board](benchmark, seeds)]
    path = arguments.output / f"{arguments.board}.csv"
    kept = [row for row in _read(path) if row["benchmark"] != benchmark.name and list(row) == list(rows[0])]
    every = sorted(kept + rows, key=lambda row: row["benchmark"], reverse=True)  # digits-tab first; stable
    write_csv(path, list(rows[0]), [list(row.values()) for row in every])
    groups: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("optimizer", "strategy", "way", "evaluations") if name in row)
        key += (row["labels"],) if arguments.board == "active" else ()
        value = row["regret"] or ("" if isinstance(benchmark, TabularBenchmark) else row["score"])
        if value:
            groups.setdefault(key, []).append(float(value))
    what = "regret" if isinstance(benchmark, TabularBenchmark) else "score"
    for key, values in groups.items():
        print(*key, f"mean {what} {np.mean(values):.4f}")
    print(path)


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
