"""The leaderboard: one CSV that many runs append to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from studies.records.appended import AppendedCSV
from studies.records.columns import Column, Columns
from studies.records.tables import compact

if TYPE_CHECKING:
    from studies.jobs.run.result import RunResult
    from studies.jobs.run.winners import Scored, Winner


@dataclass(frozen=True)
class Entry:
    """What a row is about: the best of a search's own candidates under one budget, scored from the noise of one seed.

    Schedules of the training data may win a race too, but they judge no predictor.
    """

    run: RunResult
    winner: Winner
    own: Scored
    seed: int
    score: float
    baseline: float | None


COLUMNS: Columns[Entry] = Columns(
    Column("when", lambda entry: entry.run.when),
    Column("benchmark", lambda entry: entry.run.problem["name"], required=True),
    Column("data_hash", lambda entry: entry.run.problem["data_hash"], required=True),
    Column("optimizer", lambda entry: entry.run.optimizer, required=True),
    Column("predictor", lambda entry: entry.run.predictor, required=True),
    Column("train_size", lambda entry: entry.run.source.train_size, "number"),
    Column("evaluations", lambda entry: entry.run.outcome.evaluations, "number"),
    Column("run_seed", lambda entry: entry.run.settings.seed, "number"),
    Column("budget_ms", lambda entry: f"{entry.winner.budget:.12g}", "number", required=True),
    Column("schedule", lambda entry: compact(entry.own.schedule), required=True),
    Column("nfe", lambda entry: sum(member > 0 for member in entry.own.schedule), "number"),
    Column("latency_frozen_ms", lambda entry: f"{entry.own.latency:.6g}", "number"),
    Column("latency_measured_ms", lambda entry: _measured_latency(entry), "number"),
    Column("device", lambda entry: entry.run.environment["device"]),
    Column("validation_seed", lambda entry: entry.seed, "number", required=True),
    Column("images", lambda entry: _images(entry.run), "number", required=True),
    Column("metric", lambda entry: entry.run.metric, required=True),
    Column("score", lambda entry: f"{entry.score:.8g}", "number", required=True),
    Column("best_baseline_mean", lambda entry: _baseline(entry.winner), "number"),
    Column("baseline_score", lambda entry: None if entry.baseline is None else f"{entry.baseline:.8g}", "number"),
    Column("baseline", lambda entry: None if entry.winner.baseline is None else entry.winner.baseline.name),
    Column("kappa", lambda entry: f"{entry.run.settings.kappa:g}", "number"),
    Column("version", lambda entry: entry.run.environment["versions"]["omsdpm"]),
    Column("run", lambda entry: entry.run.run_id),
)


ONCE = ("run", "budget_ms", "validation_seed")
"""What rows are told by: a run that is given again adds none that is there."""


class Leaderboard(AppendedCSV):
    """A CSV with a row per run, budget and validation seed."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(
            path, COLUMNS.names, COLUMNS.required, what="leaderboard", instead="give another --leaderboard"
        )

    def add(self, result: RunResult) -> None:
        """Adds the rows of a run that are not there yet.

        Raises:
            InputError: as :meth:`AppendedCSV.append`.
        """
        self.append((COLUMNS.row(entry) for entry in result.leaderboard_entries()), once=ONCE)


def _images(run: RunResult) -> int | None:
    return None if run.validation is None else run.validation.images


def _baseline(winner: Winner) -> str | None:
    return None if winner.baseline is None else f"{winner.baseline.mean:.8g}"


def _measured_latency(entry: Entry) -> str | None:
    """Of the winner; what was not timed has none."""
    timed = entry.winner.measured_latency
    return None if timed is None or entry.own.schedule != entry.winner.schedule else f"{timed:.6g}"
