"""What dynamic programs over steps share: a measured table of jumps, and the best path through it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.strategies.base import CannotError, NamedSchedule, Problem, Schedule, Strategy, affordable_steps, plural
from omsdpm.errors import InputError


class JumpStrategy(Strategy):
    """A path of jumps over a teacher's steps, found in a table of what each jump costs in quality.

    The teacher is one member in all slots. A jump leaves out a run of its steps; its error is how
    much worse the schedule scores that lacks this run and nothing else, so each jump is one
    label: ``L (L + 1) / 2`` with the teacher's own, for L slots, fewer with ``reach``. The path with
    as many steps as a budget pays for is proposed for every member, as the table is the teacher's.

    Args:
        teacher: the member that the table is measured with; ``None`` is the slowest.
        reach: most steps that a jump leaves out; ``None`` is any number.
    """

    usual: ClassVar[bool] = False

    def __init__(self, *, teacher: int | None = None, reach: int | None = None) -> None:
        for name, number in (("teacher", teacher), ("reach", reach)):
            if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
                raise InputError(f"{name}={number!r}: expected a positive whole number")
        self.teacher = teacher
        self.reach = reach

    @abstractmethod
    def join(self, cost: Any, error: float) -> Any:
        """The cost of a path made longer by a jump; costs compare by ``<``, and ``cost`` is ``None`` at the start."""

    def schedules(self, problem: Problem, budget: float) -> Iterator[NamedSchedule]:
        space = problem.space
        if not space.takes_timesteps:
            raise CannotError(f"{space.solver} places its steps itself, so there is no trajectory to jump along")
        teacher = problem.slowest if self.teacher is None else self.teacher
        if teacher not in problem.members:
            raise InputError(f"teacher={teacher}: the zoo has members 1..{space.num_models}")
        affordable = {member: affordable_steps(problem, budget, 1, member) for member in problem.members}
        if not any(affordable.values()):
            return  # before a label is spent
        errors = jump_errors(problem, teacher, self.reach)
        paths = 0
        for member, steps in affordable.items():
            path = best_path(errors, steps, self.join) if steps else None
            if path is not None:
                paths += 1
                x: Schedule = np.zeros(space.length, dtype=np.int64)
                x[path] = member
                yield NamedSchedule(f"member {member}, {plural(steps)}, {self.name} of member {teacher}", x)
        if not paths:
            raise CannotError(f"jumps over at most {self.reach} steps make no path of the steps that fit")


def jump_errors(problem: Problem, teacher: int, reach: int | None = None) -> NDArray[np.float64]:
    """``(L + 2, L + 2)``: by how much the teacher's score rises where the steps between two are left out.

    Row and column 0 are the start, 1 to L the slots in the order of sampling, L + 1 the image.
    Infinite where a jump goes back, leaves out everything, or more than ``reach`` steps.
    """
    length = problem.space.length
    whole = np.full(length, teacher, dtype=np.int64)
    jumps, rows = [], [whole]
    for start in range(length + 1):
        for end in range(start + 2, length + 2):
            left_out = end - start - 1
            if left_out < length and (reach is None or left_out <= reach):
                x = whole.copy()
                x[length - end + 1 : length - start] = 0  # slots count from the image end
                jumps.append((start, end))
                rows.append(x)
    scores = problem.known_labels(np.array(rows))
    errors = np.full((length + 2, length + 2), np.inf)
    errors[np.arange(length + 1), np.arange(1, length + 2)] = 0.0
    for (start, end), score in zip(jumps, scores[1:], strict=True):
        errors[start, end] = score - scores[0]
    return errors


def best_path(errors: NDArray[np.float64], steps: int, join: Any) -> NDArray[np.int64] | None:
    """``(steps,)`` slots, rising, of the path of exactly that many steps that costs least; ``None`` if there is none.

    Args:
        errors: ``(L + 2, L + 2)``, see :func:`jump_errors`.
        steps: stops between start and image.
        join: ``(cost, error) -> cost``; a lower cost stays lower when the same error joins both.
    """
    last = len(errors) - 1
    best: dict[int, tuple[Any, tuple[int, ...]]] = {0: (None, ())}  # node -> cost and stops of the best way there
    for turn in range(steps + 1):
        ends = range(1, last) if turn < steps else [last]
        reached: dict[int, tuple[Any, tuple[int, ...]]] = {}
        for end in ends:
            for start, (cost, stops) in best.items():
                if start < end and np.isfinite(errors[start, end]):
                    joined = join(cost, float(errors[start, end]))
                    if end not in reached or joined < reached[end][0]:
                        reached[end] = (joined, (*stops, end))
        best = reached
    if last not in best:
        return None
    nodes = np.array(best[last][1][:-1], dtype=np.int64)
    return np.sort(last - 1 - nodes)
