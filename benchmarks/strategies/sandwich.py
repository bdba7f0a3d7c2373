"""Large, small, large, in the style of FlowBlending (arXiv:2512.24724): two switches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import ClassVar

from benchmarks.strategies.base import (
    NamedSchedule,
    Problem,
    Strategy,
    check_shares,
    most_of_each,
    order_note,
    plural,
    runs,
    switching_order,
)


class SandwichStrategy(Strategy):
    """A slower member at both ends and a faster one between, for every pair, at every number of steps that fits.

    Args:
        shares: parts of the slower member's steps that stand at the noise end; each is tried.
    """

    name: ClassVar[str] = "sandwich"
    usual: ClassVar[bool] = False

    def __init__(self, *, shares: Sequence[float] = (0.25, 0.5, 0.75)) -> None:
        self.shares = check_shares("shares", shares)

    def schedules(self, problem: Problem, budget: float) -> Iterator[NamedSchedule]:
        space, latency = problem.space, problem.latency
        order = switching_order(space)
        for large, small in permutations(problem.members, 2):
            if latency[small - 1] >= latency[large - 1]:
                continue
            for slow, fast in most_of_each(problem, budget, order, (large, small), switches=2):
                if slow < 2:
                    continue  # nothing for one of the ends
                for first in sorted({min(max(round(share * slow), 1), slow - 1) for share in self.shares}):
                    x = runs(space, order, [(large, first), (small, fast), (large, slow - first)])
                    if problem.fits(x, budget)[0]:
                        yield NamedSchedule(
                            f"member {large} {plural(first)}, member {small} {plural(fast)}, "
                            f"member {large} {plural(slow - first)}{order_note(space, order)}",
                            x,
                            order,
                        )
