"""What each optimizer finds on exact answers, and how long it takes to propose.

    python -m benchmarks.speed.optimizers
    python -m benchmarks.speed.optimizers nsga2 'local[batch=40]' --evaluations 300 --seeds 10

The objective is the oracle of a tabular benchmark, so that nothing but the search is judged.
Hypervolume is of everything scored, as a part of the whole space's; beyond the 95th percentile
of all scores, or the dearest schedule, nothing counts. Regret is the best score within a budget
over the best that there is, less 1, as a mean over the budgets. A multi-objective optimizer
makes one run without a budget; another makes one a budget, with an equal share of the
evaluations each, as `omsdpm-bench run` does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.oracle import Oracle
from benchmarks.registry import load_benchmark
from benchmarks.tabular import TabularBenchmark
from omsdpm.errors import InputError
from studies import SearchProblem, make_optimizer, optimizer_names
from studies.metrics import best_so_far, volume


@dataclass(frozen=True)
class Outcome:
    """What one optimizer found with one seed.

    Attributes:
        hypervolume: as a part of the whole space's.
        regret: relative, mean over the budgets; infinite where nothing fits one of them.
        seconds: of the search, with lookups.
    """

    hypervolume: float
    regret: float
    seconds: float


def measure(benchmark: TabularBenchmark, name: str, evaluations: int, seed: int) -> Outcome:
    """Runs one optimizer on the oracle, warmed up."""
    optimizer, oracle = make_optimizer(name), Oracle(benchmark)
    oracle.predict(benchmark.dataset.X[:1])
    limits = [None] if optimizer.multi_objective else list(benchmark.budgets)
    start = time.perf_counter()
    runs = [
        optimizer.run(
            SearchProblem(space=benchmark.space, predictor=oracle, latency=benchmark.latency, budget=limit),
            evaluations=evaluations // len(limits),
            seed=seed,
        )
        for limit in limits
    ]
    seconds = time.perf_counter() - start
    scores = np.concatenate([run.history.scores for run in runs])
    latency = np.concatenate([run.history.latency for run in runs])
    best = np.array([best_so_far(scores, latency, budget)[-1] for budget in benchmark.budgets])
    optima = np.array([benchmark.optimum(budget).y[0] for budget in benchmark.budgets])
    return Outcome(volume(benchmark, scores, latency), float((best / optima).mean() - 1.0), seconds)


def compare(benchmark: TabularBenchmark, names: Sequence[str], evaluations: Sequence[int], seeds: int) -> Table:
    """A row an optimizer and number of evaluations, means over the seeds 0, 1, ..."""
    table = Table(caption=f"{benchmark.name}, mean of {seeds} seeds", caption_justify="left")
    for column in ("optimizer", "evaluations", "hypervolume", "regret", "ms an evaluation"):
        table.add_column(column, justify="left" if column == "optimizer" else "right")
    for name in names:
        for allowed in evaluations:
            outcomes = [measure(benchmark, name, allowed, seed) for seed in range(seeds)]
            table.add_row(
                name, f"{allowed:,}", f"{np.mean([one.hypervolume for one in outcomes]):.4f}",
                f"{np.mean([one.regret for one in outcomes]):.4f}",
                f"{1000 * np.mean([one.seconds for one in outcomes]) / allowed:.2f}",
            )  # fmt: skip
    return table


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("optimizers", nargs="*", help="name or name[param=value,...]; none means all")
    parser.add_argument("--benchmark", default="digits-tab", help="a tabular benchmark")
    parser.add_argument("--evaluations", type=int, nargs="+", default=[300, 1000])
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    try:
        benchmark = load_benchmark(args.benchmark)
        if not isinstance(benchmark, TabularBenchmark):
            parser.error(f"benchmark {benchmark.name} is not tabular: there is no whole space to compare with")
        names = args.optimizers or optimizer_names()
        Console(width=120).print(compare(benchmark, names, args.evaluations, args.seeds))
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
