"""MOEA/D (Zhang and Li, 2007) by pymoo: score and latency decomposed into many weighted problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.moead import ParallelMOEAD
from pymoo.core.termination import NoTermination
from pymoo.decomposition.tchebicheff import Tchebicheff

from omsdpm.pareto import nondominated
from omsdpm.solvers.space import check_counts
from studies.optimizers.base import Optimizer
from studies.optimizers.ledger import Ledger
from studies.optimizers.pymoo_parts import BookedProblem, BudgetRepair, ScheduleCrossover, ScheduleMutation
from studies.optimizers.starts import neighbors_of, seeded, stratified
from studies.problem import SearchProblem

Schedules = NDArray[np.int64]  # (n, L)

WORST = 1e9
"""Scaled objective of what was not scored."""


class MOEADOptimizer(Optimizer):
    """pymoo's MOEA/D on (predicted score, latency): the whole front in one run.

    One weighted Tchebycheff problem a schedule of the population; parents come from problems of
    near weights, and a child replaces the schedules of near problems that it solves better.
    Weights mean something only between objectives of one size, so both are scaled: the score
    (its logarithm where all are positive) and the latency run from 0 to 1 along the front of
    the first generation. Operators, repair to the budget and the first generation are those
    of ``nsga2``; a child that was scored before is replaced by a neighbor of it.

    Args:
        population: weighted problems, at least 4.
        neighbors: problems that mate and compete with one, at least 2.
        seeded: start from uniform single-member schedules too.
    """

    multi_objective: ClassVar[bool] = True

    def __init__(self, *, population: int = 50, neighbors: int = 10, seeded: bool = True) -> None:
        check_counts(population=population, neighbors=neighbors)
        self.population = max(4, population)
        self.neighbors = min(max(2, neighbors), self.population)
        self.seeded = seeded

    def _search(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> None:
        first = (seeded if self.seeded else stratified)(problem, self.population, rng)
        scores = ledger.score(first)
        if not ledger.open:
            return
        weights = np.linspace(0.0, 1.0, self.population)
        algorithm = ParallelMOEAD(
            ref_dirs=np.column_stack([weights, 1.0 - weights]),
            n_neighbors=self.neighbors,
            decomposition=Tchebicheff(),
            sampling=first,
            crossover=ScheduleCrossover(problem),
            mutation=ScheduleMutation(problem),
            repair=BudgetRepair(problem),
        )
        scaled = _ScaledProblem(problem, ledger, _scale(scores, problem.cost(first)))
        algorithm.setup(scaled, termination=NoTermination(), seed=int(rng.integers(2**31)))
        while ledger.open:
            children = algorithm.ask()
            if len(ledger) and algorithm.is_initialized:
                X = children.get("X").astype(np.int64)
                known = np.flatnonzero(~ledger.unseen(X))
                X[known] = problem.space.canonical(neighbors_of(problem, X[known], rng))
                children.set("X", X)
            algorithm.evaluator.eval(scaled, children)
            algorithm.tell(infills=children)


Scale = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""``(n,), (n,) -> (n, 2)``: scores and latencies to objectives of one size."""


def _scale(scores: NDArray[np.float64], cost: NDArray[np.float64]) -> Scale:
    """Puts the front of the given points into the unit square; a front of one point keeps its units."""
    logarithmic = bool((scores > 0).all())

    def bend(s: NDArray[np.float64]) -> NDArray[np.float64]:
        # A score below everything seen may be negative: it is as good as the smallest number.
        return np.log(np.maximum(s, np.finfo(float).tiny)) if logarithmic else s

    front = nondominated(scores, cost)
    ends = np.column_stack([bend(scores[front]), cost[front]])  # (f, 2)
    low, width = ends.min(axis=0), np.ptp(ends, axis=0)
    width[width == 0] = 1.0

    def scale(s: NDArray[np.float64], t: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled: NDArray[np.float64] = (np.column_stack([bend(s), t]) - low) / width
        return scaled

    return scale


class _ScaledProblem(BookedProblem):
    def __init__(self, problem: SearchProblem, ledger: Ledger, scale: Scale) -> None:
        super().__init__(problem, ledger)
        self._scale = scale

    def _evaluate(self, x: Schedules, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        super()._evaluate(x, out)
        # What the allowance no longer paid for; infinity times a weight of 0 would be no number.
        out["F"] = np.minimum(self._scale(*out["F"].T), WORST)
