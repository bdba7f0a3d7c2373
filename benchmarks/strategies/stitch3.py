"""Three members in the style of T-Stitch (Pan et al., arXiv:2402.14167): two switches, from fast to slow."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import ClassVar

from benchmarks.strategies.base import (
    NamedSchedule,
    Problem,
    Strategy,
    most_of_each,
    order_note,
    plural,
    runs,
    switching_order,
)


class Stitch3Strategy(Strategy):
    """Every three members, the fastest at the noise end, at every two switches to which no step can be added."""

    name: ClassVar[str] = "stitch3"
    usual: ClassVar[bool] = False

    def schedules(self, problem: Problem, budget: float) -> Iterator[NamedSchedule]:
        space, latency = problem.space, problem.latency
        order = switching_order(space)
        for members in permutations(problem.members, 3):
            ms = [latency[member - 1] for member in members]
            if not ms[0] < ms[1] < ms[2]:
                continue
            for counts in most_of_each(problem, budget, order, members):
                parts = list(zip(members, counts, strict=True))
                x = runs(space, order, parts)
                if problem.fits(x, budget)[0]:
                    words = ", then ".join(f"member {member} {plural(steps)}" for member, steps in parts)
                    yield NamedSchedule(words + order_note(space, order), x, order)
