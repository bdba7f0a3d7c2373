"""The contract of strategies, and what they share: how many steps a budget pays for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError
from omsdpm.latency import LatencyTable
from omsdpm.noise import Noise
from omsdpm.solvers import ScheduleSpace, SolverOptions
from omsdpm.solvers.options import USUAL

Schedule = NDArray[np.int64]  # (L,), 0 = null, index 0 = image end

Measure = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""``(n, L) -> (n,)``: scores of schedules, lower is better."""


class CannotError(InputError):
    """A strategy has nothing to propose, for a reason that the message tells in one line."""


class Labels:
    """A measuring function that counts what it is asked: every distinct schedule is one label, paid for once.

    Args:
        space: where the schedules live.
        measure: ``(n, L) -> (n,)``.

    Example:
        >>> labels = Labels(benchmark.space, benchmark.evaluate)
        >>> labels([[1, 0, 0, 0, 0, 2], [1, 0, 0, 0, 0, 2]]), labels.spent
        (array([39.6, 39.6]), 1)
    """

    def __init__(self, space: ScheduleSpace, measure: Measure) -> None:
        self._space = space
        self._measure = measure
        self._known: dict[bytes, float] = {}  # by canonical form

    @property
    def spent(self) -> int:
        """Distinct schedules measured so far."""
        return len(self._known)

    def __call__(self, X: ArrayLike) -> NDArray[np.float64]:
        """``(n, L) -> (n,)``.

        Raises:
            InputError: an invalid schedule.
        """
        batch = self._space.canonical(self._space.check(X))
        keys = [row.tobytes() for row in batch]
        new = {key: row for row, key in enumerate(keys) if key not in self._known}
        if new:
            scores = np.asarray(self._measure(batch[list(new.values())]), dtype=float)
            self._known.update(zip(new, scores.tolist(), strict=True))
        return np.array([self._known[key] for key in keys])


ROUNDING = 1e-9
"""A budget may be a whole number of steps; the quotient may fall short of it by this much."""


@dataclass(frozen=True)
class Problem:
    """What a strategy is asked about.

    Attributes:
        space: where the schedules live.
        latency: ms a member, ``(M,)``.
        noise: the solver's noise schedule, for strategies that speak of times or noise levels.
        options: how the solver runs.
        labels: measures schedules and counts them, for strategies that spend labels.
        seed: of strategies that draw at random.
    """

    space: ScheduleSpace
    latency: Sequence[float]
    noise: Noise | None = None
    options: SolverOptions = USUAL
    labels: Labels | None = None
    seed: int = 0

    @property
    def members(self) -> range:
        """Numbers of the members, from 1."""
        return range(1, self.space.num_models + 1)

    @property
    def slowest(self) -> int:
        """The member that takes longest, which users take for the best."""
        return int(np.argmax(self.latency)) + 1

    def fits(self, X: ArrayLike, budget: float) -> NDArray[np.bool_]:
        """``(n, L) -> (n,)``: takes at most ``budget`` ms."""
        return self.space.latency(X, self.latency) <= budget

    def timesteps(self, x: Schedule) -> NDArray[np.float64]:
        """Model-input timestep of each active slot of a schedule ``(L,)``, rising like the slots, ``(nfe,)``.

        Raises:
            InputError: the problem was stated without a noise schedule.
        """
        stages = self.space.plan(self.space.check(x)[0], self.known_noise, self.options).stages
        return np.array([stage.timestep for stage in reversed(stages)])  # evaluated from the noise end

    @property
    def known_noise(self) -> Noise:
        """The noise schedule.

        Raises:
            InputError: the problem was stated without one.
        """
        if self.noise is None:
            raise InputError("a strategy that speaks of times needs the noise schedule: give noise=")
        return self.noise

    @property
    def known_labels(self) -> Labels:
        """What measures.

        Raises:
            InputError: the problem was stated without it.
        """
        if self.labels is None:
            raise InputError("a strategy that spends labels needs to measure: give measure=, (n, L) -> (n,) scores")
        return self.labels


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
    """Proposes schedules under a latency budget.

    Most know nothing of scores; those that do measure by ``problem.labels``, which counts. A strategy
    is asked once a budget. It asks the space what its solver can do (``orders``, ``placings``,
    ``most_steps``, ``even_slots``, ``takes_timesteps``), never which space it is. What it proposes, or chooses of
    that by labels, is validated where a benchmark is built; winners of a search are compared with the best of it.
    To be found by name it is registered in the entry-point group ``omsdpm.strategies``; the
    first line of its docstring is what lists show.
    """

    name: ClassVar[str]
    """The registered name, which becomes the ``kind`` of its baselines."""

    usual: ClassVar[bool] = True
    """All that it proposes is a baseline of every benchmark that is built; else what it chooses by labels."""

    raced: ClassVar[bool] = False
    """Races for being the baseline where none are stored, though it is not usual: cheap, and often better."""

    @abstractmethod
    def schedules(self, problem: Problem, budget: float) -> Iterable[NamedSchedule]:
        """Schedules within ``budget`` ms; the same ones under several budgets are kept once.

        Raises:
            CannotError: there are none, for a reason that is worth a line.
        """


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


def switching_order(space: ScheduleSpace) -> int:
    """The solver's order in which several members are tried: 2 where there is a choice.

    One member alone is best with it at the 9 to 18 evaluations that budgets are about.
    """
    return 2 if 2 in space.orders else space.orders[-1]


def most_of_each(
    problem: Problem, budget: float, order: int, members: Sequence[int], *, switches: int | None = None
) -> list[tuple[int, ...]]:
    """Steps of each of several members, one at least, that fit a budget and to which no step can be added.

    Args:
        problem: space and latencies.
        budget: ms.
        order: of the solver's steps.
        members: different ones; a step may be added to any of them.
        switches: changes from one member to another; ``None`` where each member's steps stand together.
    """
    costs = LatencyTable.of(problem.latency)
    table = np.asarray(costs)[np.asarray(members) - 1] + costs.step
    budget = budget - costs.switch * (len(members) - 1 if switches is None else switches)
    room = problem.space.most_steps(order)
    counts = np.indices((room,) * (len(members) - 1)).reshape(len(members) - 1, -1).T + 1  # of all but the last
    counts = counts[counts.sum(axis=1) < room]
    left = budget - counts @ table[:-1]
    last = np.minimum(np.floor(left / table[-1] + ROUNDING), room - counts.sum(axis=1)).astype(np.int64)
    most = {tuple(row): int(n) for row, n in zip(counts.tolist(), last, strict=True)}
    rows = []
    for row, n in most.items():
        more = (tuple(c + (i == k) for i, c in enumerate(row)) for k in range(len(row)))
        if n >= 1 and all(most.get(other, 0) < n for other in more):
            rows.append((*row, n))
    return rows


def runs(space: ScheduleSpace, order: int, parts: Iterable[tuple[int, int]]) -> Schedule:
    """Even steps of members one after the other, ``(member, steps)`` from the noise end, ``(L,)``."""
    members = np.concatenate([np.full(steps, member, dtype=np.int64) for member, steps in parts])
    x = np.zeros(space.length, dtype=np.int64)
    x[space.even_slots(len(members), order)] = members[::-1]  # slots rise from the image end
    return space.check(x)[0]


def check_shares(name: str, shares: Sequence[float]) -> tuple[float, ...]:
    """The parts of a whole that a parameter lists.

    Raises:
        InputError: none, or one that is not from 0 to 1.
    """
    listed = (shares,) if isinstance(shares, (int, float)) else tuple(shares)
    right = [isinstance(share, (int, float)) and not isinstance(share, bool) and 0 <= share <= 1 for share in listed]
    if not listed or not all(right):
        raise InputError(f"{name}={shares!r}: expected numbers from 0 to 1, as in {name}=[0.25,0.5]")
    return listed


def order_note(space: ScheduleSpace, order: int) -> str:
    """What a schedule's name adds where the solver has steps of several orders."""
    return f", order {order}" if len(space.orders) > 1 else ""


def plural(steps: int) -> str:
    """``1 step``, ``2 steps``."""
    return f"{steps} step" if steps == 1 else f"{steps} steps"
