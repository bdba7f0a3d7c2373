"""Gains of the committed winners of every predictor, as the README's tables have them.

    python -m benchmarks.speed.winners

Reads `benchmarks/leaderboards/winners.csv`, whose rows are those of

    OMP_NUM_THREADS=1 omsdpm-bench run --benchmark B --predictor P --leaderboard benchmarks/leaderboards/winners.csv

so each is the best of a search's own candidates, and prints two Markdown tables: paired gains in percent with their
95 % interval over the best single member or stitch, and over the best of all baselines, on the same seeds and images.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.problem import Benchmark
from benchmarks.registry import load_benchmark
from benchmarks.speed.boards import OUTPUT, usual_baseline
from benchmarks.stored import Baseline
from studies.paired import Paired

BENCHMARKS = ("digits-ddim", "digits-dpm", "digits-tab")

Scores = dict[tuple[str, str, float], dict[int, float]]
"""Of a benchmark, predictor and budget the scores by seed."""


def read(path: Path) -> Scores:
    """The newest scores of each winner."""
    scores: Scores = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = (row["benchmark"], row["predictor"], float(row["budget_ms"]))
            scores.setdefault(key, {})[int(row["validation_seed"])] = float(row["score"])
    return scores


def best_baseline(benchmark: Benchmark, budget: float) -> Baseline | None:
    """The best of all."""
    return benchmark.best_baseline(budget)


def table(scores: Scores, against: Callable[[Benchmark, float], Baseline | None]) -> Iterator[str]:
    """A Markdown table, a row a predictor."""
    benchmarks = [load_benchmark(name) for name in BENCHMARKS]
    yield f"| `--predictor` | {' | '.join(f'`{name}`' for name in BENCHMARKS)} |"
    yield "|---|" + "---|" * len(BENCHMARKS)
    for predictor in dict.fromkeys(predictor for _, predictor, _ in scores):
        cells = [
            ", ".join(
                gain(benchmark, against(benchmark, budget), scores.get((benchmark.name, predictor, budget), {}))
                for budget in benchmark.budgets
            )
            for benchmark in benchmarks
        ]
        yield f"| `{predictor}` | {' | '.join(cells)} |"


def gain(benchmark: Benchmark, baseline: Baseline | None, scores: dict[int, float]) -> str:
    """A gain with its interval, bold where better; ``=`` where both sample the same, ``-`` where nobody measured."""
    report = benchmark.report
    if baseline is None or report is None or not scores:
        return "-"
    theirs = report.of(benchmark.space, [baseline.schedule], report.images, tuple(scores))[0]
    ours: Sequence[float] = list(scores.values())
    if np.isnan(theirs).any():
        return "-"
    if np.allclose(ours, theirs, rtol=1e-5):
        return "="
    pair = Paired(tuple(ours), tuple(theirs.tolist()))
    text = f"{pair.gain:+.0f} ± {pair.gain_margin:.0f}"
    return f"**{text}**" if pair.verdict == "better" else f"_{text}_" if pair.verdict == "worse" else text


def main() -> None:
    """Prints both tables."""
    scores = read(OUTPUT / "winners.csv")
    for title, against in (("best single member or stitch", usual_baseline), ("best of all", best_baseline)):
        print(f"Over the {title}:\n")
        print("\n".join(table(scores, against)), end="\n\n")


if __name__ == "__main__":
    main()
