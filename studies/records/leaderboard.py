"""The leaderboard: one CSV that many runs append to."""

from __future__ import annotations

from pathlib import Path

from studies.records.appended import AppendedCSV

COLUMNS = (
    "when",
    "benchmark",
    "data_hash",
    "optimizer",
    "predictor",
    "train_size",
    "evaluations",
    "run_seed",
    "budget_ms",
    "schedule",
    "nfe",
    "latency_frozen_ms",
    "latency_measured_ms",
    "device",
    "validation_seed",
    "images",
    "metric",
    "score",
    "best_baseline_mean",
    "version",
)


class Leaderboard(AppendedCSV):
    """A CSV with a row per run, budget and validation seed."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, COLUMNS, what="leaderboard", instead="give another --leaderboard")
