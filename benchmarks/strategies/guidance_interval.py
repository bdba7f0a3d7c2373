"""Guidance in a limited interval of steps (Kynkäänniemi et al., arXiv:2404.07724), members in pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from benchmarks.strategies.base import (
    CannotError,
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
from omsdpm.errors import InputError


class GuidanceIntervalStrategy(Strategy):
    """A guided member in an interval of the steps, its unguided twin before and after.

    A guided step costs two evaluations of one network, so a zoo holds both as members of
    their own, and the pairs have to be said: ``guidance-interval[pairs=[[2,1]]]``.

    Args:
        pairs: numbers of a guided member and its unguided twin.
        starts: parts of the unguided steps that stand before the interval, at the noise end.
    """

    name: ClassVar[str] = "guidance-interval"
    usual: ClassVar[bool] = False

    def __init__(self, *, pairs: Sequence[Sequence[int]] = (), starts: Sequence[float] = (0.25, 0.5, 0.75)) -> None:
        given: Any = [pairs] if not isinstance(pairs, (list, tuple)) or _is_pair(pairs) else pairs
        for pair in given:
            whole = isinstance(pair, (list, tuple)) and all(isinstance(number, int) for number in pair)
            if not whole or len(pair) != 2 or pair[0] == pair[1]:
                raise InputError(f"pairs: {pair!r} is none; expected [[guided,unguided],...], two member numbers each")
        self.pairs = [(int(guided), int(unguided)) for guided, unguided in given]
        self.starts = check_shares("starts", starts)

    def schedules(self, problem: Problem, budget: float) -> Iterator[NamedSchedule]:
        space = problem.space
        if not self.pairs:
            raise CannotError(
                "nobody said which members are guided: give the pairs, as in guidance-interval[pairs=[[2,1]]], "
                "guided before unguided"
            )
        for number in {number for pair in self.pairs for number in pair}:
            if number not in problem.members:
                raise InputError(f"pairs name member {number}: the zoo has members 1..{space.num_models}")
        order = switching_order(space)
        for pair in self.pairs:
            guided, unguided = pair
            for on, off in most_of_each(problem, budget, order, pair, switches=2):
                for before in sorted({round(start * off) for start in self.starts}):
                    parts = [(unguided, before), (guided, on), (unguided, off - before)]
                    x = runs(space, order, parts)
                    if problem.fits(x, budget)[0]:
                        yield NamedSchedule(
                            f"member {unguided} {plural(off)}, guided by member {guided} "
                            f"from step {before + 1} to {before + on}{order_note(space, order)}",
                            x,
                            order,
                        )


def _is_pair(pairs: Sequence[Any]) -> bool:
    """One pair that stands without a list around it."""
    return len(pairs) > 0 and all(isinstance(number, int) for number in pairs)
