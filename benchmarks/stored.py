"""Baselines as a benchmark stores them: schedules that a user has without any search, with validated scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.dataset.parquet import lists_of, read_parquet, slots_of, words_of
from omsdpm.errors import InputError
from omsdpm.files import reads
from omsdpm.solvers import ScheduleSpace

BASELINES_FILE = "baselines.parquet"


@dataclass(frozen=True)
class Baseline:
    """A schedule that a user has without any search, with its validated scores.

    Attributes:
        kind: name of the strategy that proposed it: ``"single"`` (one member), ``"stitch"`` (two), ...
        name: in words.
        schedule: ``(L,)``.
        latency: frozen latency, ms.
        scores: one a validation seed.
        labels: schedules that are measured to come to it, by whoever follows its strategy under the budget;
            ``None`` where nobody counted.
    """

    kind: str
    name: str
    schedule: NDArray[np.int64]
    latency: float
    scores: NDArray[np.float64]
    labels: int | None = None

    @property
    def mean(self) -> float:
        """Mean over the validation seeds."""
        return float(np.mean(self.scores))

    @property
    def std(self) -> float:
        """Standard deviation over the validation seeds (n - 1)."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else 0.0


@reads("path")
def read_baselines(path: Path, space: ScheduleSpace, latency: Sequence[float]) -> list[Baseline]:
    """Baselines from their Parquet file: kind, name, schedule, scores.

    Raises:
        InputError: the file cannot be read, or a row is no baseline of the space.
    """
    table = read_parquet(path, ("kind", "name", "schedule", "scores"), "baselines")
    try:
        kinds, names = (words_of(table[column], column) for column in ("kind", "name"))
        X = slots_of(table["schedule"], space.length)
        X = space.check(X) if len(X) else X
        scores = finite_scores(table["scores"])
        for row, words in enumerate(zip(kinds, names, strict=True)):
            if not all(words):
                raise InputError(f"row {row} lacks its kind or name")
    except InputError as error:
        raise InputError(f"baselines {path}: {error}") from error
    ms = space.latency(X, latency) if len(X) else np.zeros(0)
    return [
        Baseline(kind, name, x, float(cost), y)
        for kind, name, x, cost, y in zip(kinds, names, X, ms, scores, strict=True)
    ]


def finite_scores(column: Any) -> list[NDArray[np.float64]]:
    """The rows of a column of scores.

    Raises:
        InputError: names the first row of scores that are not finite, or not as many as in the others.
    """
    rows = [np.array(row or (), dtype=float) for row in lists_of(column, "scores")]
    for number, row in enumerate(rows):
        if not len(row) or len(row) != len(rows[0]) or not np.isfinite(row).all():
            raise InputError(
                f"row {number} has the scores {row.tolist()}, expected finite numbers, as many in each row"
            )
    return rows


def write_baselines(path: Path, baselines: Sequence[Baseline]) -> None:
    """Writes :func:`read_baselines`'s file, atomically."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from omsdpm.files import replacing

    table = pa.table(
        {
            "kind": [b.kind for b in baselines],
            "name": [b.name for b in baselines],
            "schedule": pa.array([b.schedule.astype(np.int16) for b in baselines], type=pa.list_(pa.int16())),
            "scores": pa.array([b.scores.astype(float) for b in baselines], type=pa.list_(pa.float64())),
        }
    )
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
