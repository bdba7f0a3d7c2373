"""A dataset as a problem to compare predictors on, where there is no benchmark of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from omsdpm.dataset import ScheduleDataset
from omsdpm.solvers import ScheduleSpace
from omsdpm.zoo.opening import read_latency_table
from studies.jobs.datasets import open_dataset
from studies.jobs.fit.training import RATIO


@dataclass(frozen=True)
class MeasuredProblem:
    """Schedules and their scores, and what they say of their problem.

    A dataset that has the splits ``train`` and ``test`` keeps them. Of others a random half is
    trained on and the other half judges, as in the paper (section 5); each seed draws its own.

    Attributes:
        name: the file's, without its suffix.
        dataset: with splits.
        latency: ms a member, ``None`` where nobody says it.
        data_hash: SHA-256 of what results depend on, 16 digits.
        own_splits: the dataset's are used.
    """

    name: str
    dataset: ScheduleDataset
    latency: list[float] | None
    data_hash: str
    own_splits: bool
    noise: None = None
    budgets: tuple[float, ...] = ()

    @classmethod
    def open(
        cls, path: Path, solver: str | None = None, members: int | None = None, latency: Path | None = None
    ) -> Self:
        """A released ``.pth`` or folder, or our Parquet.

        Args:
            path: where it is.
            solver, members: of released schedules, which do not say them.
            latency: table of the members' latencies.

        Raises:
            InputError: it cannot be read, or does not agree with what is given.
        """
        table = None if latency is None else read_latency_table(latency, members)
        data = open_dataset(path, solver, members if table is None else len(table))
        prices = data.extra.get("latency_ms") if table is None else list(table)
        own = bool(np.any(data.split == "train") and np.any(data.split == "test"))
        digest = hashlib.sha256(repr((data.space, data.metric, prices)).encode())
        for part in (data.X, data.y, "".join(f"{word}," for word in data.split).encode()):
            digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes())
        return cls(path.resolve().stem, data, prices, digest.hexdigest()[:16], own).of_seed(0)

    @property
    def space(self) -> ScheduleSpace:
        """The schedules' space."""
        return self.dataset.space

    @property
    def metric(self) -> str:
        """What a score is called."""
        return self.dataset.metric

    def of_seed(self, seed: int) -> Self:
        """The same with the halves that a seed draws, where the dataset has no splits of its own."""
        if self.own_splits:
            return self
        n = len(self.dataset)
        split = np.full(n, "test", dtype="<U5")
        split[np.random.default_rng(seed).permutation(n)[: round(RATIO * n)]] = "train"
        return replace(self, dataset=replace(self.dataset, split=split))
