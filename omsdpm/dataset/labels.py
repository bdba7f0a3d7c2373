"""Labels as they are made: a dataset that is written anew with each batch, so that a killed search goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.dataset import ScheduleDataset
from omsdpm.errors import InputError
from omsdpm.solvers import Schedules, ScheduleSpace


class LabelStore:
    """Measured schedules in a Parquet file of the datasets' format; ``design`` says which round asked for a row.

    Args:
        path: the file; what is in it counts.
        space: of the schedules.
        metric: what a score is.
        facts: what labels depend on, as JSON takes it; labels of other facts are no labels here.

    Raises:
        InputError: the file cannot be read, or holds labels of another space, metric or facts.
    """

    def __init__(self, path: Path, space: ScheduleSpace, metric: str, facts: Mapping[str, Any]) -> None:
        self.path = path
        if not path.exists():
            self.dataset = ScheduleDataset(
                space, np.zeros((0, space.length), dtype=np.int64), np.zeros(0), metric=metric, extra=dict(facts)
            )
            return
        self.dataset = ScheduleDataset.read(path)
        if (self.dataset.space, self.dataset.metric) != (space, metric):
            raise InputError(
                f"{path} holds labels of {self.dataset.space} by {self.dataset.metric}, asked for is {space} by "
                f"{metric}: name another folder"
            )
        for key, value in facts.items():
            if (stored := self.dataset.extra.get(key)) != value:
                raise InputError(
                    f"{path} holds labels with {key} = {stored!r}, here it is {value!r}: name another folder"
                )

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def keys(self) -> set[bytes]:
        """The labeled schedules in canonical form."""
        return set(self.scores())

    def scores(self) -> dict[bytes, float]:
        """The labels by their schedules' canonical form."""
        if not len(self.dataset):
            return {}
        X = self.dataset.space.canonical(self.dataset.X)
        return {row.tobytes(): score for row, score in zip(X, self.dataset.y.tolist(), strict=True)}

    def new(self, X: Schedules) -> NDArray[np.intp]:
        """Rows of ``X`` ``(n, L)`` that are not labeled yet, the first of each that sample the same."""
        known, rows = self.keys, []
        for row, x in enumerate(self.dataset.space.canonical(X)):
            if (key := x.tobytes()) not in known:
                known.add(key)
                rows.append(row)
        return np.array(rows, dtype=np.intp)

    def add(self, X: Schedules, y: NDArray[np.float64], design: str, split: str = "train") -> None:
        """Adds rows and writes the file, atomically."""
        old = self.dataset
        self.dataset = ScheduleDataset(
            old.space,
            np.concatenate([old.X, X]),
            np.concatenate([old.y, y]),
            split=np.concatenate([old.split, np.full(len(X), split)]),
            design=np.concatenate([old.design, np.full(len(X), design)]),
            metric=old.metric,
            extra=old.extra,
        )
        self.dataset.write(self.path)
