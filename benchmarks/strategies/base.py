"""The contract of strategies, and what they share: how many steps a budget pays for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from omsdpm.solvers import ScheduleSpace

Schedule = NDArray[np.int64]  # (L,), 0 = null, index 0 = image end


@dataclass(frozen=True)
class Problem:
    """What a strategy is asked about.

    Attributes:
        space: where the schedules live.
        latency: ms a member, ``(M,)``.
    """

    space: ScheduleSpace
    latency: Sequence[float]

    @property
    def members(self) -> range:
        """Numbers of the members, from 1."""
        return range(1, self.space.num_models + 1)


@dataclass(frozen=True, eq=False)
class NamedSchedule:
    """A schedule that a strategy proposes.

    Attributes:
        name: as people would say it: ``member 3, 8 steps``; no two of a strategy have one.
        x: ``(L,)``.
        order: of the solver's steps, by which proposals are listed.
    """

    name: str
    x: Schedule
    order: int = 1


class Strategy(ABC):
    """Proposes schedules under a latency budget, knowing nothing of scores.

    A strategy is asked once a budget. It asks the space what its solver can do (``orders``,
    ``placings``, ``most_steps``, ``even_slots``), never which space it is. What it proposes is
    validated where a benchmark is built; winners of a search are compared with the best of it.
    To be found by name it is registered in the entry-point group ``omsdpm.strategies``; the
    first line of its docstring is what lists show.
    """

    name: ClassVar[str]
    """The registered name, which becomes the ``kind`` of its baselines."""

    @abstractmethod
    def schedules(self, problem: Problem, budget: float) -> Iterable[NamedSchedule]:
        """Schedules within ``budget`` ms; the same ones under several budgets are kept once."""


def affordable_steps(
    problem: Problem, budget: float, order: int, member: int, *, small: int = 1, split: int = 0
) -> int:
    """Most steps that fit a budget, ``split`` of them of member ``small`` and the rest of ``member``; 0 if none do."""
    space = problem.space
    steps = np.arange(max(split, 1), space.most_steps(order) + 1)
    at = np.arange(space.length)
    candidates = np.where(at < split, small, member) * (at < steps[:, None])  # costs do not depend on the order
    fitting = steps[space.latency(candidates, problem.latency) <= budget]
    return int(fitting.max()) if len(fitting) else 0


def order_note(space: ScheduleSpace, order: int) -> str:
    """What a schedule's name adds where the solver has steps of several orders."""
    return f", order {order}" if len(space.orders) > 1 else ""


def plural(steps: int) -> str:
    """``1 step``, ``2 steps``."""
    return f"{steps} step" if steps == 1 else f"{steps} steps"
