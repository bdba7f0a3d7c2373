"""What time grids share: the slots of a space that are nearest to given times, for every member."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.strategies.base import CannotError, NamedSchedule, Problem, Schedule, Strategy, affordable_steps, plural


class GridStrategy(Strategy):
    """Every member alone at the most steps that fit, in the slots nearest to a grid of times."""

    usual: ClassVar[bool] = False

    @abstractmethod
    def grid(self, problem: Problem, steps: int) -> NDArray[np.float64]:
        """``(steps,)``: model-input timesteps, falling as in sampling."""

    def schedules(self, problem: Problem, budget: float) -> Iterator[NamedSchedule]:
        slots = slot_timesteps(problem)
        for member in problem.members:
            steps = affordable_steps(problem, budget, problem.space.orders[-1], member)
            if steps:
                x = nearest(slots, self.grid(problem, steps), member)
                yield NamedSchedule(f"member {member}, {plural(steps)}, {self.name}", x)


def slot_timesteps(problem: Problem) -> NDArray[np.float64]:
    """``(L,)``: the timestep of each slot, rising.

    Raises:
        CannotError: the solver has no slots at times, it places its steps itself.
    """
    space = problem.space
    if not space.takes_timesteps:
        raise CannotError(f"{space.solver} places its steps itself, so no choice of slots makes a grid of times")
    return problem.timesteps(np.ones(space.length, dtype=np.int64))


def nearest(slots: NDArray[np.float64], grid: NDArray[np.float64], member: int) -> Schedule:
    """``(L,)``: a member in as many slots as the grid has times, nearest to them in the sum of distances.

    Args:
        slots: ``(L,)`` timesteps of the slots.
        grid: ``(steps,)`` timesteps, at most L.
        member: its number.
    """
    from scipy.optimize import linear_sum_assignment

    _, columns = linear_sum_assignment(np.abs(np.asarray(grid)[:, None] - slots[None, :]))
    x = np.zeros(len(slots), dtype=np.int64)
    x[columns] = member
    return x


def lambda_ends(problem: Problem) -> tuple[float, float]:
    """``lambda`` at the first timestep that networks know and at the last, of those where it is finite.

    Where the first has only image, as in flow matching, at the first slot with noise.
    """
    noise = problem.known_noise
    highest = float(noise.lam(noise.time(noise.timestep(0.0))))
    if not np.isfinite(highest):
        of_slots = noise.lam(noise.time(slot_timesteps(problem)))
        highest = float(of_slots[np.isfinite(of_slots)].max())
    return highest, float(noise.lam(noise.t_start))


def timesteps_at(problem: Problem, lam: NDArray[np.float64]) -> NDArray[np.float64]:
    """The model-input timesteps where ``lambda`` is ``lam`` ``(n,)``; beyond the ends, the ends'."""
    noise = problem.known_noise
    highest, lowest = lambda_ends(problem)
    return noise.timestep(noise.inverse_lambda(np.clip(lam, lowest, highest)))
