"""Winners of a run against the best baselines, on validation seeds that nothing has seen.

    python -m studies.jobs.confirm RUN_FOLDER

The seeds of a benchmark's own validation are fresh for one run. Whoever compares settings
by their validated winners has used those seeds up; this draws others, the same for both
sides, and compares seed by seed.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import load_benchmark

FIRST_SEED = 5001


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of `omsdpm-bench run`")
    parser.add_argument("--seeds", type=int, default=6)
    args = parser.parse_args()
    result = json.loads((args.run / "result.json").read_text(encoding="utf-8"))
    benchmark = load_benchmark(result["benchmark"]["name"])
    with (args.run / "winners.csv").open() as file:
        winners = [(float(row["budget_ms"]), [int(m) for m in row["schedule"].split()]) for row in csv.DictReader(file)]
    best = [min((b for b in benchmark.baselines if b.latency <= ms), key=lambda b: b.mean) for ms, _ in winners]
    X = np.array([x for _, x in winners] + [baseline.schedule for baseline in best])
    scores = benchmark.validate(X, seeds=range(FIRST_SEED, FIRST_SEED + args.seeds)).scores
    table = Table("budget (ms)", "winner", "best baseline", "gain", "seeds won")
    for (ms, _), ours, theirs in zip(winners, scores[: len(winners)], scores[len(winners) :], strict=True):
        gain = f"{1 - ours.mean() / theirs.mean():+.0%}"
        table.add_row(
            f"{ms:g}", f"{ours.mean():.3f}", f"{theirs.mean():.3f}", gain, f"{(ours < theirs).sum()} of {len(ours)}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
