"""What the labels of each design are worth: predictors fitted on equally costly parts.

    python -m studies.jobs.designs digits-ddim

Every design of the benchmark's training rows gets the same number of network evaluations,
shared beginnings counted once, as the dataset's card has them. A predictor fitted on
each part ranks the random `test` split and the `elite` split.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import kendalltau

from benchmarks import Benchmark, load_benchmark
from predictors import make_predictor


def families(benchmark: Benchmark) -> dict[str, list[str]]:
    """The training rounds of each design, and all of them as a mixture."""
    rounds = {entry["name"]: entry["design"] for entry in benchmark.table["round"] if entry.get("split") == "train"}
    by_design: dict[str, list[str]] = {}
    for name, design in rounds.items():
        by_design.setdefault(design, []).append(name)
    return {**by_design, "mixture": list(rounds)}


def equal_cost_rows(benchmark: Benchmark, rounds: list[str], evaluations: int, seed: int) -> NDArray[np.int64]:
    """Rows of some rounds that cost about ``evaluations``, the rounds in equal parts of the cost."""
    costs = benchmark.dataset.extra["rounds"]
    rng = np.random.default_rng(seed)
    rows = []
    for name in rounds:
        each = costs[name]["evaluations"] / costs[name]["schedules"]
        available = rng.permutation(np.flatnonzero(benchmark.dataset.design == name))
        rows.append(available[: round(evaluations / len(rounds) / each)])
    return np.concatenate(rows)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", nargs="?", default="digits-ddim")
    parser.add_argument("--predictor", default="gp")
    parser.add_argument("--evaluations", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    benchmark = load_benchmark(args.benchmark)
    test, elite = (benchmark.dataset.subset(split) for split in ("test", "elite"))
    table = Table("design", "schedules", "tau on test", "tau on elite")
    for design, rounds in families(benchmark).items():
        taus = []
        for seed in range(args.seeds):
            part = benchmark.dataset[equal_cost_rows(benchmark, rounds, args.evaluations, seed)]
            predictor = make_predictor(args.predictor, space=benchmark.space, random_state=seed).fit(part.X, part.y)
            taus.append([kendalltau(predictor.predict(split.X), split.y).statistic for split in (test, elite)])
        mean, spread = np.mean(taus, axis=0), np.std(taus, axis=0, ddof=1)
        table.add_row(design, str(len(part)), *(f"{m:.3f} ± {s:.3f}" for m, s in zip(mean, spread, strict=True)))
    Console().print(
        f"{benchmark.name}: {args.predictor} on {args.evaluations:,} network evaluations, {args.seeds} seeds"
    )
    Console().print(table)


if __name__ == "__main__":
    main()
