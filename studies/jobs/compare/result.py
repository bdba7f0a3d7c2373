"""The table of compared predictors: one CSV with a row per fit, and what to read off it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from studies.jobs.compare.columns import COLUMNS, FOUND_BEST, FOUND_GAP
from studies.jobs.naming import benchmark_of
from studies.records.appended import AppendedCSV

FILE = "predictors.csv"

ONCE = ("benchmark", "data_hash", "predictor", "train_size", "seed", FOUND_BEST)
"""What rows are told by: of two comparisons that make the same fit at once the first writes it."""

Key = tuple[str, int, int]
"""Predictor, train size, seed."""

Row = Mapping[str, str]


class ComparisonFile(AppendedCSV):
    """``predictors.csv``: a row per benchmark, predictor, train size and seed.

    An empty cell is what does not apply, ``nan`` what is undefined.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(
            Path(folder) / FILE, COLUMNS.names, COLUMNS.required, what="comparison", instead="give another --output"
        )

    def of(self, benchmark: str, data_hash: str) -> dict[Key, Row]:
        """The rows of one benchmark's data; of rows with equal keys the first for which a search was made, if any.

        Raises:
            InputError: the file has other columns, or a row that is damaged.
        """
        kept: dict[Key, Row] = {}
        for row in self.rows():
            if (row["benchmark"], row["data_hash"]) == (benchmark, data_hash):
                try:
                    key = row["predictor"], int(row["train_size"]), int(row["seed"])
                    for column in COLUMNS.numbers:
                        float(row[column] or 0)
                except ValueError as error:
                    raise InputError(f"comparison {self.path}: {error}; mend it or give another --output") from error
                if key not in kept or (row[FOUND_BEST] and not kept[key][FOUND_BEST]):
                    kept[key] = row
        return kept


@dataclass(frozen=True)
class Comparison:
    """All that a folder has about the predictors on one benchmark, whichever runs made it.

    Attributes:
        benchmark, metric: names.
        folder: with ``predictors.csv`` and the predictions that are kept.
        rows: of this benchmark's data.
    """

    benchmark: str
    metric: str
    folder: Path
    rows: Mapping[Key, Row]

    @classmethod
    def read(cls, folder: str | Path, benchmark: Any) -> Self:
        """What a folder has about the predictors on a benchmark, given by name or as it is.

        Raises:
            InputError: unknown benchmark, no comparison there, or one that cannot be read.
        """
        problem, file = benchmark_of(benchmark), ComparisonFile(folder)
        rows = file.of(problem.name, problem.data_hash)
        if not rows:
            raise InputError(f"{file.path} has no rows of {problem.name}: run `omsdpm-bench predictor compare` first")
        return cls(problem.name, problem.metric, Path(folder), rows)

    @cached_property
    def predictors(self) -> list[str]:
        """Names, sorted."""
        return sorted({name for name, _, _ in self.rows})

    @property
    def by_search(self) -> list[str]:
        """Names, those first on which searches find the best schedules with most labels; the others by name."""

        def gap(name: str) -> float:
            measured = self.values(FOUND_GAP, name, self.sizes[-1])
            return float(measured.mean()) if len(measured) else float("inf")

        return sorted(self.predictors, key=lambda name: (gap(name), name))

    @cached_property
    def sizes(self) -> list[int]:
        """Train sizes, rising."""
        return sorted({size for _, size, _ in self.rows})

    def values(self, column: str, predictor: str, size: int) -> NDArray[np.float64]:
        """A column's numbers by rising seed, ``(s,)``; without what does not apply or is undefined."""
        rows = (row for (name, labels, _), row in sorted(self.rows.items()) if (name, labels) == (predictor, size))
        numbers = np.array([float(row[column] or "nan") for row in rows])
        return numbers[np.isfinite(numbers)]
