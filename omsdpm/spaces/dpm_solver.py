"""Schedules of single-step DPM-Solvers: three slots a solver."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.spaces._base import Schedules, ScheduleSpace, check_counts

GROUP = 3
"""Slots of one solver: its highest order."""


@dataclass(frozen=True)
class DPMSolverSpace(ScheduleSpace):
    """``num_solvers`` groups of three slots; a group's order is its number of non-null slots.

    The non-null slots of a group come first. An all-null group is skipped, so where
    the all-null groups stand changes nothing.

    Example:
        >>> space = DPMSolverSpace(num_models=6, num_solvers=12)
        >>> space.length
        36
    """

    solver: ClassVar[str] = "dpm-solver"
    num_models: int
    num_solvers: int
    length: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_counts(num_models=self.num_models, num_solvers=self.num_solvers)
        object.__setattr__(self, "length", GROUP * self.num_solvers)

    @property
    def cardinality(self) -> int:
        return len(self._groups()) ** self.num_solvers - 1

    def groups(self, X: Schedules) -> Schedules:
        """``(n, L) -> (n, K, 3)``: the slots of each solver."""
        return X.reshape(-1, self.num_solvers, GROUP)

    def orders(self, X: ArrayLike) -> NDArray[np.int64]:
        """``(n, L) -> (n, K)``: the order of each solver, 0 for a skipped one."""
        return np.count_nonzero(self.groups(self.as_batch(X)), axis=2)

    def _well_formed(self, X: Schedules) -> NDArray[np.bool_]:
        active = self.groups(X) > 0
        return np.all(active[:, :, :-1] >= active[:, :, 1:], axis=(1, 2))

    def _explain(self, row: NDArray[np.int64]) -> str:
        active = self.groups(row[None])[0] > 0
        group = int((active[:, :-1] < active[:, 1:]).any(axis=1).argmax())
        slots = row[GROUP * group : GROUP * (group + 1)].tolist()
        return f"has a null before a model in solver {group} {slots}: a solver's models come first, then its nulls"

    def _mend(self, X: Schedules) -> Schedules:
        groups = self.groups(X)
        packed = np.argsort(groups == 0, axis=2, kind="stable")  # models first, in their order
        return np.take_along_axis(groups, packed, axis=2).reshape(X.shape)

    def canonical(self, X: ArrayLike) -> Schedules:
        """Active solvers first, in their order; skipped ones at the noise end."""
        batch = self.as_batch(X)
        groups = self.groups(batch)
        packed = np.argsort(~groups.any(axis=2), axis=1, kind="stable")
        return np.take_along_axis(groups, packed[:, :, None], axis=1).reshape(batch.shape)

    def _groups(self) -> Schedules:
        """All contents of one solver, ``(1 + M + M^2 + M^3, 3)``, in lexicographic order."""
        slots = np.indices((self.num_models + 1,) * GROUP).reshape(GROUP, -1).T
        active = slots > 0
        return slots[(active[:, :-1] >= active[:, 1:]).all(axis=1)]

    def enumerate(self) -> Schedules:
        self._check_enumerable()
        groups = self._groups()
        powers = len(groups) ** np.arange(self.num_solvers)[::-1]
        digits = np.arange(1, self.cardinality + 1)[:, None] // powers % len(groups)  # (n, K)
        return groups[digits].reshape(-1, self.length)
