"""The region that labels cover, and how good a schedule can be believed to be there.

A model of scores is free where it has no labels, and a search goes where it errs to the good side.
So a prediction is held against labels of schedules that look alike from afar: about as
many evaluations, about as long a stretch without any, begun about as late.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from omsdpm.solvers import Schedules, ScheduleSpace

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

NEIGHBORS = 25
"""Labels that a schedule is held against, and those that are as near."""

SLACK = 0.5
"""How much better than the best of them a schedule may be said to be, in standard deviations of the labels.

On test and elite schedules of the embedded benchmarks, with 40 to 2,100 labels, less than one in a hundred was
measured to be better, and mostly none.
"""


class Coverage:
    """Labels by the outline of their schedules.

    Args:
        space: of the schedules.
        outlines: ``(n, 3)`` of the labeled schedules, see :func:`outlines`.
        z: ``(n,)`` their standardized scores.
    """

    def __init__(self, space: ScheduleSpace, outlines: Ints, z: Array) -> None:
        self.space, self.outlines, self.z = space, outlines, z
        self._points = self._scaled(outlines)
        self._floors: dict[tuple[int, ...], tuple[float, float]] = {}  # by outline, as they are asked for

    @classmethod
    def of(cls, X: Schedules, z: Array, space: ScheduleSpace) -> Self:
        """Of canonical schedules ``(n, L)`` and their standardized scores ``(n,)``."""
        return cls(space, outlines(X, space), z)

    def floor(self, X: Schedules) -> tuple[Array, Array]:
        """The best standardized scores that canonical schedules ``(m, L)`` are believed to have, and their distance.

        Within the range of the labels' outlines that is a little better than the best of the nearest labels;
        outside, the nearest labels' best and the worse the farther off.

        Returns:
            ``(m,), (m,)``; the distance is 0 within the range.
        """
        rows = outlines(X, self.space)
        base = self.space.length + 1
        _, first, back = np.unique(rows @ [base**2, base, 1], return_index=True, return_inverse=True)
        known = np.array([self._known(tuple(outline)) for outline in rows[first].tolist()]).reshape(-1, 2)
        return known[back, 0], known[back, 1]

    def _known(self, outline: tuple[int, ...]) -> tuple[float, float]:
        if outline not in self._floors:
            self._floors[outline] = self._floor_of(outline)
        return self._floors[outline]

    def _floor_of(self, outline: tuple[int, ...]) -> tuple[float, float]:
        (point,) = self._scaled(np.array([outline]))
        inside = np.clip(point, self._points.min(axis=0), self._points.max(axis=0))
        away = float(np.abs(point - inside).sum())
        distance = np.abs(self._points - inside).sum(axis=1)
        k = min(NEIGHBORS, len(self.z)) - 1
        best = float(self.z[distance <= np.partition(distance, k)[k]].min())
        # Labels that are all equal say nothing of how scores differ; else their standard deviation is 1.
        unit = float(self.z.std())
        return (best + unit * away, unit * away) if away > 0 else (best - unit * SLACK, 0.0)

    def _scaled(self, outlines: Ints) -> Array:
        """Outlines as points: the logarithm of the evaluations, and the others as parts of all steps."""
        return np.column_stack([np.log(outlines[:, 0]), outlines[:, 1:] / (self.space.length // self.space.group_size)])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What :meth:`from_arrays` needs."""
        return {"outlines": self.outlines, "z": self.z}

    @classmethod
    def from_arrays(cls, space: ScheduleSpace, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """What was saved.

        Raises:
            KeyError, ValueError: arrays that are no coverage.
        """
        triples, z = arrays["outlines"], arrays["z"]
        whole = np.issubdtype(triples.dtype, np.integer) and triples.ndim == 2 and triples.shape[1:] == (3,)
        if (
            not whole
            or z.shape != (len(triples),)
            or not len(z)
            or not np.isfinite(z).all()
            or (triples[:, 0] < 1).any()
        ):
            raise ValueError(f"labels' outlines of shape {triples.shape} and type {triples.dtype}, scores {z.shape}")
        return cls(space, triples.astype(np.int64), z.astype(float))


def outlines(X: Schedules, space: ScheduleSpace) -> Ints:
    """``(n, L) -> (n, 3)``: evaluations, the longest run of skipped steps, and those skipped before the first.

    Where slots form groups a step is a group, and none is skipped before the first: where skipped groups
    stand changes nothing.
    """
    steps = X.reshape(len(X), -1, space.group_size).any(axis=2)
    position = np.arange(steps.shape[1] + 1)
    ends = np.zeros((len(X), len(position)), dtype=np.int64)  # where the last active step up to each ends
    np.maximum.accumulate(np.where(steps, position[1:], 0), axis=1, out=ends[:, 1:])
    begun = steps.shape[1] - ends[:, -1] if space.group_size == 1 else np.zeros(len(X), dtype=np.int64)
    return np.column_stack([space.nfe(X), (position - ends).max(axis=1), begun])
