"""The committed leaderboards of optimizers, strategies and searches that label, on exact answers.

    python -m benchmarks.speed.boards optimizers
    python -m benchmarks.speed.boards strategies
    python -m benchmarks.speed.boards active --seeds 10

Each writes `benchmarks/leaderboards/NAME.csv` anew, a row a (name, seed, ...), with versions. The
benchmark is `digits-tab`, whose every schedule is measured: a score is looked up, and regret is a score
over the best there is under the budget, less 1.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.comparison import compare_strategies
from benchmarks.registry import load_benchmark
from benchmarks.speed.optimizers import measure
from benchmarks.strategies.registry import strategy_names
from benchmarks.tabular import TabularBenchmark
from studies import make_optimizer, optimizer_names
from studies.active import ActiveSearch, LabelStore, LeftToSpend
from studies.jobs.run.search import PricedSpace
from studies.records.tables import compact, write_csv

OUTPUT = Path(__file__).parents[1] / "leaderboards"

EVALUATIONS = (300, 1000)
"""Of an optimizer."""

SLOW = ("optuna-gp",)
"""Optimizers that take a second an evaluation: they are asked for the fewest only."""

LABELS = (20, 40, 60, 80, 100)
"""After which an active search is looked at."""

Rows = Iterable[Mapping[str, Any]]


def optimizers(benchmark: TabularBenchmark, seeds: int) -> Rows:
    """Hypervolume and regret of each optimizer on the oracle."""
    for name in optimizer_names():
        for evaluations in EVALUATIONS[: 1 if name in SLOW else None]:
            for seed in range(seeds):
                searched = measure(benchmark, name, evaluations, seed)
                yield {
                    "optimizer": name, "evaluations": evaluations, "seed": seed,
                    "hypervolume": f"{searched.hypervolume:.6f}", "regret": f"{searched.regret:.6f}",
                }  # fmt: skip


def strategies(benchmark: TabularBenchmark, seeds: int) -> Rows:
    """The best that each strategy has under each budget, and the labels it spends; or why it has none."""
    names = [name for name in strategy_names() if name != "guidance-interval"]  # its members come in pairs
    for seed in range(seeds):
        for row in compare_strategies(benchmark, names=names, seed=seed):
            (optimum,) = benchmark.optimum(row.budget).y
            yield {
                "strategy": row.strategy, "budget_ms": f"{row.budget:g}", "seed": seed, "labels": row.labels,
                "score": "" if row.score is None else f"{row.score:.6g}",
                "regret": "" if row.score is None else f"{row.score / optimum - 1:.6f}",
                "schedule": "" if row.schedule is None else compact(row.schedule),
                "reason": row.reason or "",
            }  # fmt: skip


def active(benchmark: TabularBenchmark, seeds: int) -> Rows:
    """The best label under each budget after so many labels; a search that ended keeps what it had."""
    for seed in range(seeds):
        best: dict[int, Any] = {}

        def record_best(state: LeftToSpend, best: dict[int, Any] = best) -> None:
            best[state.labels] = state.best

        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            store = LabelStore(Path(folder) / "labels.parquet", benchmark.space, benchmark.metric, {})
            ActiveSearch(
                PricedSpace(benchmark.space, benchmark.latency),
                benchmark.budgets,
                make_optimizer("nsga2"),
                lambda seed: benchmark.predictor("gp", random_state=seed),
                benchmark.evaluate,
                seed=seed,
            ).run(store, LABELS[-1], record_best)
        print(f"seed {seed}: {len(store)} labels, {time.perf_counter() - start:.0f} s")
        for labels in LABELS:
            known = best[max(n for n in best if n <= labels)]
            for budget, score in zip(benchmark.budgets, known, strict=True):
                (optimum,) = benchmark.optimum(budget).y
                yield {
                    "predictor": "gp", "seed": seed, "labels": labels, "spent": min(labels, len(store)),
                    "budget_ms": f"{budget:g}", "score": f"{score:.6g}", "regret": f"{score / optimum - 1:.6f}",
                }  # fmt: skip


BOARDS: dict[str, Callable[[TabularBenchmark, int], Rows]] = {
    "optimizers": optimizers,
    "strategies": strategies,
    "active": active,
}


def main() -> None:
    """Writes one board and prints the means of its regrets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("board", choices=BOARDS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    benchmark = load_benchmark("digits-tab")
    assert isinstance(benchmark, TabularBenchmark)
    facts = {"benchmark": benchmark.name, "data_hash": benchmark.data_hash, "version": version("omsdpm")}
    rows = [{**row, **facts} for row in BOARDS[arguments.board](benchmark, arguments.seeds)]
    path = arguments.output / f"{arguments.board}.csv"
    write_csv(path, list(rows[0]), [list(row.values()) for row in rows])
    groups: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("optimizer", "strategy", "evaluations") if name in row)
        key += (row["labels"],) if arguments.board == "active" else ()
        if row["regret"]:
            groups.setdefault(key, []).append(float(row["regret"]))
    for key, regrets in groups.items():
        print(*key, f"mean regret {np.mean(regrets):.4f}")
    print(path)


if __name__ == "__main__":
    main()
