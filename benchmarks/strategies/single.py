"""One member at even steps, which is how diffusion models are commonly used."""

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
from omsdpm.solvers import ScheduleSpace


class SingleStrategy(Strategy):
    """Every member alone at the most steps that fit, in every order and placing of the solver."""

    name: ClassVar[str] = "single"

    def schedules(self, problem: Problem, budget: float) -> Iterator[NamedSchedule]:
        space = problem.space
        for order in space.orders:
            for member in problem.members:
                steps = affordable_steps(problem, budget, order, member)
                for placing in space.placings if steps else ():
                    note = "" if placing == space.placings[0] else f", {placing}"
                    yield NamedSchedule(
                        f"member {member}, {plural(steps)}{order_note(space, order)}{note}",
                        single_member(space, member, steps, order=order, placing=placing),
                        order,
                    )


def single_member(
    space: ScheduleSpace, member: int, steps: int, *, order: int | None = None, placing: str | None = None
) -> Schedule:
    """One member at the most even ``steps`` slots, ``(L,)``.

    Args:
        space: where the schedule lives.
        member: 1..M.
        steps: network evaluations.
        order: of the solver's steps, one of ``space.orders``; ``None`` is the highest.
        placing: one of ``space.placings``; ``None`` is the usual one.

    Raises:
        InputError: a member, step count, order or placing that the space does not have.

    Example:
        >>> single_member(DDIMSpace(3, 10), 2, 5)
        array([0, 2, 0, 2, 0, 2, 0, 2, 0, 2])
    """
    x = np.zeros(space.length, dtype=np.int64)
    x[space.even_slots(steps, order, placing)] = member
    return space.check(x)[0]
