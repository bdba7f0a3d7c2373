"""What each strategy reaches under each budget of a benchmark, and how many labels that takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.baselines import check_proposal
from benchmarks.strategies.base import CannotError, Labels, Measure, Problem, Schedule, Strategy
from benchmarks.strategies.registry import make_strategy
from omsdpm.latency import LatencyTable

if TYPE_CHECKING:
    from benchmarks.problem import Benchmark


@dataclass(frozen=True, eq=False)
class StrategyResult:
    """The best that one strategy has to offer under one budget, or why it has nothing.

    Attributes:
        strategy: as it was asked for, ``name[param=value,...]``.
        budget: ms.
        name: the schedule in words; ``None`` as all below where there is none.
        schedule: ``(L,)``, index 0 = image end.
        latency: ms, frozen.
        score: measured; lower is better.
        labels: schedules that were measured to come to it: what the strategy spent, and every
            proposal where there are several to choose from.
        proposals: distinct schedules that were proposed.
        reason: why there is none, in one line; ``None`` where there is one.
    """

    strategy: str
    budget: float
    name: str | None = None
    schedule: Schedule | None = None
    latency: float | None = None
    score: float | None = None
    labels: int = 0
    proposals: int = 0
    reason: str | None = None


def compare_strategies(
    benchmark: Benchmark,
    budgets: Sequence[float] | None = None,
    names: Sequence[str | Strategy] = ("single", "stitch"),
    seed: int = 0,
    *,
    measure: Measure | None = None,
) -> list[StrategyResult]:
    """A row a strategy and budget, in this order; a strategy that cannot meet a budget says why.

    Every row stands alone: its labels are what somebody spends who has this budget only. From a
    strategy that proposes several schedules the best measured is taken, and all of them count.
    The score of a lone proposal is measured for the table and counts for nothing.

    Args:
        benchmark: a tabular one is looked up, so its scores are exact; another is sampled.
        budgets: ms; ``None`` is the benchmark's.
        names: strategies by ``name[param=value,...]`` or made.
        seed: of strategies that draw at random.
        measure: ``(n, L) -> (n,)`` instead of ``benchmark.evaluate``: with a device, in parallel, ...

    Raises:
        InputError: an unknown strategy or parameter, or one that proposes what is no schedule or over budget.

    Example:
        >>> for row in compare_strategies(load_benchmark("digits-tab"), [60], ["single", "karras"]):
        ...     print(row.strategy, row.name, round(row.score, 2), row.labels)
        single member 3, 1 step 9.32 10
    """
    made = [(str(one), make_strategy(one)) if isinstance(one, str) else (one.name, one) for one in names]
    whole = Labels(benchmark.space, benchmark.evaluate if measure is None else measure)  # measures nothing twice
    rows = []
    for text, strategy in made:
        for budget in benchmark.budgets if budgets is None else budgets:
            labels = Labels(benchmark.space, whole)
            problem = Problem(benchmark.space, benchmark.latency, benchmark.noise, benchmark.options, labels, seed)
            rows.append(_best(text, strategy, problem, labels, whole, float(budget)))
    return rows


def _best(
    text: str, strategy: Strategy, problem: Problem, labels: Labels, whole: Labels, budget: float
) -> StrategyResult:
    try:
        proposed = list(strategy.schedules(problem, budget))
    except CannotError as error:
        return StrategyResult(text, budget, labels=labels.spent, reason=str(error))
    for one in proposed:
        check_proposal(one, strategy.name, problem, budget)
    distinct = {problem.space.canonical(one.x).tobytes(): one for one in reversed(proposed)}
    candidates = list(distinct.values())[::-1]
    if not candidates:
        cheapest = LatencyTable.of(problem.latency).cheapest
        why = (
            f"one step of the fastest member takes {cheapest:g} ms"
            if budget < cheapest
            else "it has nothing to propose within it"
        )
        return StrategyResult(text, budget, labels=labels.spent, reason=f"budget {budget:g} ms: {why}")
    X = [one.x for one in candidates]
    scores = (labels if len(X) > 1 else whole)(X)
    best = int(scores.argmin())
    (latency,) = problem.space.latency(X[best], problem.latency)
    return StrategyResult(
        text, budget, candidates[best].name, X[best], float(latency), float(scores[best]), labels.spent, len(X)
    )
