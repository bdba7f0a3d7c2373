"""The committed leaderboards of optimizers, strategies and searches that label, on exact answers.

    python -m benchmarks.speed.boards optimizers
    python -m benchmarks.speed.boards strategies
    python -m benchmarks.speed.boards strategies --benchmark digits-ddim
    python -m benchmarks.speed.boards active --seeds 10
    python -m benchmarks.speed.boards active --seeds 10 --benchmark digits-ddim

Each writes `benchmarks/leaderboards/NAME.csv` anew, a row a (name, seed, ...), with versions; rows of
another benchmark stay. The benchmark is `digits-tab` unless said otherwise, whose every schedule is measured:
a score is looked up, and regret is a score over the best there is under the budget, less 1. `strategies` and `active`
take other benchmarks too, whose schedules are sampled; their regret is not known. What a strategy chose there as the
benchmark was built is scored again on the seeds of reports, by which nothing was chosen, beside the best single member
or stitch.
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

from benchmarks.choices import Choice
from benchmarks.choosing import SEED
from benchmarks.comparison import StrategyResult, compare_strategies
from benchmarks.problem import Benchmark
from benchmarks.registry import load_benchmark
from benchmarks.report import REPORT_SEEDS
from benchmarks.speed.optimizers import measure
from benchmarks.speed.spending import NESTED, WAYS
from benchmarks.stored import Baseline
from benchmarks.strategies.registry import strategy_names
from benchmarks.tabular import TabularBenchmark
from studies import optimizer_names
from studies.paired import Paired
from studies.records.tables import compact, write_csv

OUTPUT = Path(__file__).parents[1] / "leaderboards"

EVALUATIONS = (300, 1000)
"""Of an optimizer."""

SLOW = ("optuna-gp",)
"""Optimizers that take a second an evaluation: they are asked for the fewest only."""

LABELS = (25, 60, 100)
"""After which a way to spend them is looked at."""

REPORTED = 5
"""Seeds of reports that a strategy's schedule is scored on, as many as a run takes."""

USUAL = ("single", "stitch")
"""Strategies whose proposals are all validated, and which need no labels of their own."""

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


def strategies(benchmark: Benchmark, seeds: Sequence[int]) -> Rows:
    """The best that each strategy has under each budget, and the labels it spends; or why it has none."""
    for seed in seeds if isinstance(benchmark, TabularBenchmark) else (SEED,):
        rows = _chosen(benchmark, seed)
        reported = {} if isinstance(benchmark, TabularBenchmark) else _reported(benchmark, rows)
        for row in rows:
            regret, again = "", reported.get(_key(row.schedule))
            if isinstance(benchmark, TabularBenchmark) and row.score is not None:
                regret = f"{row.score / float(benchmark.optimum(row.budget).y[0]) - 1:.6f}"
            baseline = usual_baseline(benchmark, row.budget)
            pair = None if again is None or baseline is None else Paired(again, reported[_key(baseline.schedule)])
            yield {
                "strategy": row.strategy, "budget_ms": f"{row.budget:g}", "seed": seed, "labels": row.labels,
                "score": "" if row.score is None else f"{row.score:.6g}",
                "regret": regret,
                "reported": "" if again is None else f"{np.mean(again):.6g}",
                "scores": "" if again is None else " ".join(f"{score:.6g}" for score in again),
                "gain_percent": "" if pair is None else f"{pair.gain:.2f}",
                "margin_percent": "" if pair is None else f"{pair.gain_margin:.2f}",
                "schedule": "" if row.schedule is None else compact(row.schedule),
                "reason": row.reason or "",
            }  # fmt: skip


def _chosen(benchmark: Benchmark, seed: int) -> Sequence[StrategyResult | Choice]:
    """What each strategy chooses: looked up where all is measured, else as the benchmark was built."""
    if isinstance(benchmark, TabularBenchmark):
        # The members of guidance-interval come in pairs.
        names = [name for name in strategy_names() if name != "guidance-interval"]
        return compare_strategies(benchmark, names=names, seed=seed)
    return sorted(benchmark.choices, key=lambda choice: choice.strategy)  # a stable sort


def usual_baseline(benchmark: Benchmark, budget: float) -> Baseline | None:
    """The best single member or stitch within a budget, by validated scores."""
    within = [one for one in benchmark.baselines if one.kind in USUAL and one.latency <= budget]
    return min(within, key=lambda one: one.mean, default=None)


def _reported(benchmark: Benchmark, rows: Sequence[StrategyResult | Choice]) -> dict[bytes, list[float]]:
    """Scores of what was chosen, and of the usual baselines, on the seeds of reports, by schedule."""
    best = [usual_baseline(benchmark, row.budget) for row in rows]
    chosen = [row.schedule for row in rows if row.schedule is not None]
    X = np.unique(chosen + [baseline.schedule for baseline in best if baseline is not None], axis=0)
    scores = benchmark.validate(X, seeds=REPORT_SEEDS[:REPORTED]).scores
    return {_key(x): own.tolist() for x, own in zip(X, scores, strict=True)}


def _key(x: Any) -> bytes:
    return b"" if x is None else np.asarray(x, dtype=np.int64).tobytes()


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


BOARDS: dict[str, Callable[..., Rows]] = {
    "optimizers": optimizers,
    "strategies": strategies,
    "active": active,
}

LOOKED_UP = ("optimizers",)
"""Boards of benchmarks that are measured as a whole."""


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
    if not isinstance(benchmark, TabularBenchmark) and arguments.board in LOOKED_UP:
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
        value = row["regret"] or ("" if isinstance(benchmark, TabularBenchmark) else row.get("reported", row["score"]))
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
