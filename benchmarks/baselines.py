"""What the strategies propose under a benchmark's budgets: the schedules to beat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.strategies.base import CannotError, Labels, Measure, NamedSchedule, Problem, Schedule, Strategy
from benchmarks.strategies.registry import make_strategy, raced_strategies, usual_strategies
from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.solvers import ScheduleSpace, SolverOptions
from omsdpm.solvers.options import USUAL

if TYPE_CHECKING:
    from benchmarks.problem import Benchmark


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
    *,
    noise: Noise | None = None,
    options: SolverOptions = USUAL,
    measure: Measure | None = None,
    seed: int = 0,
) -> list[BaselineSchedule]:
    """What a careful user would try under each budget, without repetition.

    Args:
        space: where the schedules live.
        latency: ms a member, ``(M,)``.
        budgets: ms.
        strategies: by ``name[param=value,...]`` or made; ``None`` is the usual ones: ``single``,
            ``stitch`` and those of other packages. The others are there for who asks.
        noise, options: the solver's noise schedule and how it runs, for strategies that speak of times.
        measure: ``(n, L) -> (n,)`` scores, for strategies that spend labels.
        seed: of strategies that draw at random.

    Raises:
        InputError: an unknown strategy, one that proposes what is no schedule within the budget, or
            that needs what was not given.

    Example:
        >>> [baseline.name for baseline in all_baselines(DDIMSpace(1, 4), [1.0], [2.0])]
        ['member 1, 2 steps', 'member 1, 2 steps, leading', 'member 1, 2 steps, linspace']
    """
    made = [
        make_strategy(one) if isinstance(one, str) else one
        for one in (usual_strategies() if strategies is None else strategies)
    ]
    labels = None if measure is None else Labels(space, measure)
    problem = Problem(space, latency, noise, options, labels, seed)
    first: dict[bytes, BaselineSchedule] = {}  # by canonical form
    for budget in budgets:
        proposed = [(one, strategy.name) for strategy in made for one in feasible(strategy, problem, budget)]
        for one, kind in sorted(proposed, key=lambda pair: pair[0].order):  # a stable sort
            first.setdefault(space.canonical(one.x).tobytes(), BaselineSchedule(one.name, kind, one.x))
    return list(first.values())


def raced_baselines(benchmark: Benchmark, budget: float) -> list[BaselineSchedule]:
    """What races for being the baseline under a budget for which the benchmark has none stored."""
    return all_baselines(
        benchmark.space, benchmark.latency, [budget], raced_strategies(),
        noise=benchmark.noise, options=benchmark.options,
    )  # fmt: skip


def feasible(strategy: Strategy, problem: Problem, budget: float) -> list[NamedSchedule]:
    """What a strategy proposes under a budget, checked; nothing where it cannot."""
    try:
        proposed = list(strategy.schedules(problem, budget))
    except CannotError:
        return []
    for one in proposed:
        check_proposal(one, strategy.name, problem, budget)
    return proposed


def check_proposal(proposed: NamedSchedule, kind: str, problem: Problem, budget: float) -> None:
    """Raises :class:`InputError` for a proposal that is no schedule, or is over budget."""
    try:
        (ms,) = problem.space.latency(problem.space.check(proposed.x), problem.latency)
    except InputError as error:
        raise InputError(f"strategy {kind!r} proposes {proposed.name!r}, which is no schedule: {error}") from error
    if ms > budget:
        raise InputError(
            f"strategy {kind!r} proposes {proposed.name!r}, which takes {ms:g} ms: expected {budget:g} ms at most"
        )
