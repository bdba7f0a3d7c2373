"""What the strategies propose under a benchmark's budgets: the schedules to beat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.strategies.base import NamedSchedule, Problem, Schedule, Strategy
from benchmarks.strategies.registry import make_strategy, strategy_names
from omsdpm.errors import InputError
from omsdpm.solvers import ScheduleSpace


@dataclass(frozen=True, eq=False)
class BaselineSchedule:
    """A schedule to beat, not sampled yet; with its scores it becomes a :class:`benchmarks.Baseline`.

    Attributes:
        name: as people would say it: ``member 3, 8 steps``.
        kind: name of the strategy.
        x: ``(L,)``, index 0 = image end.
    """

    name: str
    kind: str
    x: Schedule


def all_baselines(
    space: ScheduleSpace,
    latency: Sequence[float],
    budgets: Iterable[float],
    strategies: Sequence[str | Strategy] | None = None,
) -> list[BaselineSchedule]:
    """What a careful user would try under each budget, without repetition.

    Args:
        space: where the schedules live.
        latency: ms a member, ``(M,)``.
        budgets: ms.
        strategies: by ``name[param=value,...]`` or made; ``None`` is all that are installed.

    Raises:
        InputError: an unknown strategy, or one that proposes what is no schedule within the budget.

    Example:
        >>> [baseline.name for baseline in all_baselines(DDIMSpace(1, 4), [1.0], [2.0])]
        ['member 1, 2 steps', 'member 1, 2 steps, leading', 'member 1, 2 steps, linspace']
    """
    made = [
        make_strategy(one) if isinstance(one, str) else one
        for one in (strategy_names() if strategies is None else strategies)
    ]
    problem = Problem(space, latency)
    first: dict[bytes, BaselineSchedule] = {}  # by canonical form
    for budget in budgets:
        proposed = [(one, strategy.name) for strategy in made for one in strategy.schedules(problem, budget)]
        for one, kind in sorted(proposed, key=lambda pair: pair[0].order):  # a stable sort
            _check(one, kind, problem, budget)
            first.setdefault(space.canonical(one.x).tobytes(), BaselineSchedule(one.name, kind, one.x))
    return list(first.values())


def _check(proposed: NamedSchedule, kind: str, problem: Problem, budget: float) -> None:
    try:
        (ms,) = problem.space.latency(problem.space.check(proposed.x), problem.latency)
    except InputError as error:
        raise InputError(f"strategy {kind!r} proposes {proposed.name!r}, which is no schedule: {error}") from error
    if ms > budget:
        raise InputError(
            f"strategy {kind!r} proposes {proposed.name!r}, which takes {ms:g} ms: expected {budget:g} ms at most"
        )
