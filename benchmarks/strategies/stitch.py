"""A small member where images are still noise, a larger one where they become images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from benchmarks.strategies.base import (
    NamedSchedule,
    Problem,
    Schedule,
    Strategy,
    affordable_steps,
    order_note,
    plural,
)
from omsdpm.errors import InputError
from omsdpm.solvers import ScheduleSpace

ORDER = 2
"""Of the solver's steps, where there is a choice: one member alone is best with it at the 9 to 18
evaluations that budgets are about."""


class StitchStrategy(Strategy):
    """Every pair of a faster and a slower member, at every split to which no step of either can be added."""

    name: ClassVar[str] = "stitch"

    def schedules(self, problem: Problem, budget: float) -> Iterator[NamedSchedule]:
        space, latency = problem.space, problem.latency
        order = ORDER if ORDER in space.orders else space.orders[-1]
        for small in problem.members:
            for large in problem.members:
                if latency[small - 1] >= latency[large - 1]:
                    continue
                for split, steps in _splits(problem, budget, order, small, large):
                    yield NamedSchedule(
                        f"member {small} {plural(split)}, then member {large} {plural(steps - split)}"
                        f"{order_note(space, order)}",
                        stitch(space, small, large, steps, split, order=order),
                        order,
                    )


def stitch(
    space: ScheduleSpace, small: int, large: int, steps: int, split: int, *, order: int | None = None
) -> Schedule:
    """``split`` even steps of ``small`` at the noise end, the other ``steps - split`` of ``large``, ``(L,)``.

    Raises:
        InputError: as for :func:`~benchmarks.strategies.single.single_member`, or a split that is
            not within 0..steps.
    """
    if not 0 <= split <= steps:
        raise InputError(f"split {split} of {steps} steps: expected 0 to {steps} steps of the small member")
    x = np.zeros(space.length, dtype=np.int64)
    slots = space.even_slots(steps, order)  # rising: from the image end to the noise end
    x[slots] = np.where(np.arange(steps) < steps - split, large, small)
    return space.check(x)[0]


def _splits(problem: Problem, budget: float, order: int, small: int, large: int) -> Iterator[tuple[int, int]]:
    """(split, steps) of the stitches of a pair that fit, and to which no step can be added."""
    splits = range(1, problem.space.most_steps(order) + 1)
    steps = [affordable_steps(problem, budget, order, large, small=small, split=split) for split in splits]
    large_steps = [total - split for split, total in zip(splits, steps, strict=True)]
    for split, here, after in zip(splits, large_steps, [*large_steps[1:], 0], strict=True):
        # One more step of the small member either leaves room for as many of the large, and
        # then that stitch is the better one, or costs a step of the large.
        if here > max(after, 0):
            yield split, split + here
