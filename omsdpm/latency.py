"""What schedules cost: milliseconds a member, and what a step and a change of members add where that is known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from omsdpm.errors import InputError


class LatencyTable(list[float]):
    """Milliseconds that one evaluation of each member takes, ``(M,)``: a list, which may know more.

    A schedule costs ``sum_k count_k ms_k + step * evaluations + switch * switches``, see
    :meth:`omsdpm.solvers.ScheduleSpace.latency`. Without the two terms, which is what every plain list means, that is
    the sum of OMS-DPM (arXiv:2306.08860).

    Args:
        ms: a member.
        step: what the solver and the executor add to every evaluation, ms.
        switch: what an evaluation takes longer whose member is not that of the evaluation before it, ms.

    Raises:
        InputError: a term that is negative or not finite.

    Example:
        >>> table = LatencyTable([1.0, 4.0], switch=0.5)
        >>> DDIMSpace(2, 3).latency([[1, 2, 2]], table)
        array([9.5])
    """

    def __init__(self, ms: Iterable[float], step: float = 0.0, switch: float = 0.0) -> None:
        super().__init__(float(value) for value in ms)
        for name, value in (("step", step), ("switch", switch)):
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"latency of a {name} {value}: expected milliseconds, 0 or more")
        self.step, self.switch = float(step), float(switch)

    def __repr__(self) -> str:
        """A plain list's where it says no more: digests of benchmarks are of this text."""
        return super().__repr__() + "".join(f", {name} {ms!r}" for name, ms in self.terms().items())

    @classmethod
    def of(cls, latency: Iterable[float]) -> Self:
        """A table of any sequence of milliseconds; one that is a table already keeps what it knows."""
        return cls(latency, getattr(latency, "step", 0.0), getattr(latency, "switch", 0.0))

    @classmethod
    def from_card(cls, card: Mapping[str, Any], numbers: Sequence[int] | None = None) -> Self:
        """The table of a latency card (:class:`omsdpm.zoo.files.LatencyCard`).

        Args:
            card: as a dict.
            numbers: members that take part, from 1; ``None`` means all.
        """
        ms = card["ms"]
        chosen = ms if numbers is None else [ms[number - 1] for number in numbers]
        return cls(chosen, card.get("step_ms", 0.0), card.get("switch_ms", 0.0))

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """The table that :meth:`facts` wrote."""
        return cls(facts["latency_ms"], facts.get("step_ms", 0.0), facts.get("switch_ms", 0.0))

    def facts(self) -> dict[str, Any]:
        """What a result says of costs: milliseconds a member, and of a step and a switch where they cost something."""
        return {"latency_ms": list(self), **{f"{name}_ms": ms for name, ms in self.terms().items()}}

    def terms(self) -> dict[str, float]:
        """The terms beside the members' that are not zero, by name."""
        return {name: ms for name, ms in (("step", self.step), ("switch", self.switch)) if ms}

    @property
    def cheapest(self) -> float:
        """What the cheapest schedule costs, a single evaluation, ms."""
        return min(self) + self.step
