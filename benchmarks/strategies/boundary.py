"""One switch at a noise level, in the style of Wan 2.2 (diffusers: ``transformer_2``, ``boundary_ratio``)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import ClassVar

import numpy as np

from benchmarks.strategies.base import (
    CannotError,
    NamedSchedule,
    Problem,
    Strategy,
    order_note,
    plural,
    switching_order,
)
from omsdpm.errors import InputError


class BoundaryStrategy(Strategy):
    """One member at timesteps from a boundary up, another below, for every pair, at the most steps that fit.

    As in diffusers, a step belongs to the noise end if its timestep is at least ``at`` times the
    number of training timesteps.

    Args:
        at: the boundary, from 0 to 1: 0.875 for Wan's text to video, 0.9 for its image to video;
            SDXL's refiner works below 0.2.
    """

    name: ClassVar[str] = "boundary"
    usual: ClassVar[bool] = False

    def __init__(self, *, at: float = 0.875) -> None:
        if isinstance(at, bool) or not isinstance(at, (int, float)) or not 0 < at < 1:
            raise InputError(f"at={at!r}: expected a part of the training timesteps, between 0 and 1")
        self.at = at

    def schedules(self, problem: Problem, budget: float) -> Iterator[NamedSchedule]:
        space, boundary = problem.space, self.at * problem.known_noise.steps
        order = switching_order(space)
        grids = []  # (slots, steps at the noise end), the most steps first
        for steps in range(space.most_steps(order), 0, -1):
            x = np.zeros(space.length, dtype=np.int64)
            slots = space.even_slots(steps, order)
            x[slots] = 1
            above = int((problem.timesteps(x) >= boundary).sum())
            if 0 < above < steps:
                grids.append((slots, above))
        if not grids:
            raise CannotError(
                f"no even steps of the space lie on both sides of timestep {boundary:g}: give another boundary[at=...]"
            )
        for high, low in permutations(problem.members, 2):
            for slots, above in grids:
                x = np.zeros(space.length, dtype=np.int64)
                x[slots] = low
                x[slots[-above:]] = high
                if problem.fits(x, budget)[0]:
                    yield NamedSchedule(
                        f"member {high} {plural(above)}, from timestep {boundary:g} down "
                        f"member {low} {plural(len(slots) - above)}{order_note(space, order)}",
                        x,
                        order,
                    )
                    break
