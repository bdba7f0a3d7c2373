"""The leaderboard: one CSV that many runs append to, also at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from omsdpm.errors import InputError
from omsdpm.files import replacing, writable_folder

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

PATIENCE = 60.0
"""Seconds to wait for another run that is writing."""


class Leaderboard:
    """A CSV with a row per run, budget and validation seed.

    Rows are added under a lock, and by replacing the file: of two runs that end at once
    neither loses a row, and a killed one leaves the file as it was.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def check(self) -> None:
        """Raises :class:`InputError` if rows could not be appended; changes nothing."""
        writable_folder(self.path.parent)
        self._content()

    def append(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Adds rows, each with exactly :data:`COLUMNS`.

        Raises:
            InputError: the file has other columns, cannot be written, or is locked for too long.
        """
        from filelock import FileLock, Timeout

        added = io.StringIO()
        writer = csv.DictWriter(added, COLUMNS, lineterminator="\n")
        for row in rows:
            writer.writerow(row)
        writable_folder(self.path.parent)
        try:
            with FileLock(self.path.parent / f".{self.path.name}.lock", timeout=PATIENCE):
                content = self._content()
                if content and not content.endswith("\n"):
                    content += "\n"  # somebody's editor left it out
                with replacing(self.path) as temporary:
                    temporary.write_text((content or ",".join(COLUMNS) + "\n") + added.getvalue(), encoding="utf-8")
        except Timeout as error:
            raise InputError(
                f"leaderboard {self.path} was locked for {PATIENCE:g} s: another run is writing, or was stopped while "
                "it did; give another --leaderboard"
            ) from error

    def _content(self) -> str:
        """The file as it is, empty if there is none."""
        try:
            content = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read leaderboard {self.path}: {error}; give another --leaderboard") from error
        header = tuple(next(csv.reader(io.StringIO(content)), ()))
        if content.strip() and header != COLUMNS:
            raise InputError(
                f"leaderboard {self.path} has other columns than this version writes: give another --leaderboard"
            )
        return content if content.strip() else ""
