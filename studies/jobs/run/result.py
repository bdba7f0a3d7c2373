"""What a run brought, and the files of its folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.files import replacing
from studies.jobs.run.search import Found
from studies.jobs.run.settings import Settings
from studies.jobs.run.winners import KINDS, Protocol, Scored, Winner
from studies.ranking import Ranking
from studies.records.leaderboard import COLUMNS

FORMAT = 1
"""Version of ``result.json``; a reader of another version must refuse it."""


@dataclass(frozen=True)
class RunResult:
    """Everything that a run brought.

    Attributes:
        settings: the parameters as given.
        folder: the run folder.
        leaderboard: the CSV that got rows, ``None`` if nothing was validated.
        benchmark: name, data hash, metric and frozen latencies of the problem.
        ranking: the predictor on held-out splits.
        train_size: schedules it was fitted on.
        budgets: ms, rising.
        found: what the search brought.
        winners: one a budget.
        protocol: how they were scored; the stored baselines' protocol without validation.
        environment: versions, platform, device.
        seconds: time of each part.
        when: start of the run, ISO 8601 with time zone.
    """

    settings: Settings
    folder: Path
    leaderboard: Path | None
    benchmark: dict[str, Any]
    ranking: Ranking
    train_size: int
    budgets: list[float]
    found: Found
    winners: list[Winner]
    protocol: Protocol
    environment: dict[str, Any]
    seconds: dict[str, float]
    when: str

    @property
    def metric(self) -> str:
        """What the validated scores are, such as ``fd-digits``."""
        return str(self.benchmark["metric"])

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON takes it."""
        return {
            "format": FORMAT,
            "when": self.when,
            "command": self.settings.command(),
            "settings": self.settings.as_dict(),
            "environment": self.environment,
            "benchmark": self.benchmark,
            "predictor": {"name": self.settings.predictor, "train_size": self.train_size, "ranking": self.ranking},
            "search": {"optimizer": self.settings.optimizer, "evaluations": self.found.evaluations},
            "validation": {
                "validated": self.settings.validate,
                "images": self.protocol.images,
                "seeds": list(self.protocol.seeds),
                "baselines_again": self.protocol.baselines_again,
            },
            "budgets": self.budgets,
            "winners": [_winner(winner) for winner in self.winners],
            "seconds": self.seconds,
        }

    def leaderboard_rows(self) -> Iterable[dict[str, object]]:
        """A row per budget and validation seed, with the leaderboard's columns."""
        for winner in self.winners:
            if winner.measured is None:
                continue
            best = winner.best_baseline
            for seed, score in zip(self.protocol.seeds, winner.measured.scores, strict=True):
                values = (
                    self.when,
                    self.benchmark["name"],
                    self.benchmark["data_hash"],
                    self.settings.optimizer,
                    self.settings.predictor,
                    self.train_size,
                    self.found.evaluations,
                    self.settings.seed,
                    f"{winner.budget:.12g}",
                    compact(winner.schedule),
                    winner.nfe,
                    f"{winner.latency:.6g}",
                    f"{winner.measured_latency:.6g}",
                    self.environment["device"],
                    seed,
                    self.protocol.images,
                    self.metric,
                    f"{score:.8g}",
                    "" if best is None else f"{best.mean:.8g}",
                    self.environment["versions"]["omsdpm"],
                )
                yield dict(zip(COLUMNS, values, strict=True))


def compact(schedule: Sequence[int] | NDArray[np.int64]) -> str:
    """A schedule as text, image end first: ``"0 3 0 6"``.

    Spaces keep spreadsheets from reading it as a number or a date.
    """
    return " ".join(str(int(member)) for member in schedule)


def write_json(result: RunResult, path: Path) -> None:
    """``result.json``; written after the other files, so that its presence means that all are there."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(result.as_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_pareto(found: Found, path: Path) -> None:
    """``pareto.csv``: the nondominated schedules of latency and predicted score."""
    nfe = np.count_nonzero(found.front, axis=1)
    rows = zip(found.front_latency, nfe, found.front_scores, found.front, strict=True)
    header = ("latency_frozen_ms", "nfe", "predicted_score", "schedule")
    write_csv(path, header, ((f"{ms:.6g}", n, f"{score:.8g}", compact(row)) for ms, n, score, row in rows))


def write_winners(result: RunResult, path: Path) -> None:
    """``winners.csv``: one row a budget; the metric's columns are empty without validation."""
    metric = result.metric
    header = ["budget_ms", "latency_frozen_ms", "latency_measured_ms", "nfe", "predicted_score"]
    header += [f"{metric}_mean", f"{metric}_std"]
    for kind in KINDS:
        header += [f"{kind}_baseline", f"{kind}_latency_frozen_ms", f"{kind}_{metric}_mean", f"{kind}_{metric}_std"]
    header += ["gain_percent", "schedule"]
    rows = []
    for winner in result.winners:
        row = [_text(winner.budget), _text(winner.latency), _text(winner.measured_latency), winner.nfe]
        row += [_text(winner.predicted), *_mean_std(winner.measured)]
        for kind in KINDS:
            scored = winner.baselines.get(kind)
            named = ["", ""] if scored is None else [scored.name, _text(scored.latency)]
            row += [*named, *_mean_std(scored)]
        rows.append([*row, _text(winner.gain), compact(winner.schedule)])
    write_csv(path, header, rows)


def _winner(winner: Winner) -> dict[str, Any]:
    return {
        "budget_ms": winner.budget,
        "schedule": winner.schedule.tolist(),
        "nfe": winner.nfe,
        "latency_frozen_ms": winner.latency,
        "latency_measured_ms": winner.measured_latency,
        "predicted_score": winner.predicted,
        "scores": None if winner.measured is None else winner.measured.scores.tolist(),
        "mean": None if winner.measured is None else winner.measured.mean,
        "std": None if winner.measured is None else winner.measured.std,
        "gain_percent": winner.gain,
        "baselines": {
            kind: {
                "name": scored.name,
                "schedule": scored.schedule.tolist(),
                "latency_frozen_ms": scored.latency,
                "scores": scored.scores.tolist(),
                "mean": scored.mean,
                "std": scored.std,
            }
            for kind, scored in winner.baselines.items()
        },
    }


def _mean_std(scored: Scored | None) -> list[str]:
    return ["", ""] if scored is None else [_text(scored.mean), _text(scored.std)]


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.8g}"


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file with a header, written atomically."""
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
