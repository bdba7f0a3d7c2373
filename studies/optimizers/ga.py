"""A genetic algorithm by pymoo, one run a budget."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.soo.nonconvex.ga import GA

from omsdpm.solvers.space import check_counts
from studies.optimizers.base import Optimizer
from studies.optimizers.ledger import Ledger
from studies.optimizers.pymoo_parts import BookedProblem, evolve, operators
from studies.optimizers.starts import stratified, uniform_schedules
from studies.problem import SearchProblem

Schedules = NDArray[np.int64]  # (n, L)

LOWEST = 0.5
"""Designs cost from this part of the budget to all of it: cheaper schedules leave quality unused."""


class GAOptimizer(Optimizer):
    """pymoo's genetic algorithm on the predicted score alone, one run a budget.

    The operators of ``nsga2``: children come from exchanging runs of slots and from slot-wise
    moves, a budget is kept by repair, no schedule is scored twice. Of parents and children
    together the best are kept. The first generation is random designs that cost half of the
    budget to all of it and, for up to half of it, the dearest uniform single-member schedules
    that fit.

    Args:
        population: schedules a generation, at least 4.
        seeded: start from uniform single-member schedules too.
    """

    multi_objective: ClassVar[bool] = False

    def __init__(self, *, population: int = 40, seeded: bool = True) -> None:
        check_counts(population=population)
        self.population = max(4, population)
        self.seeded = seeded

    def _search(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> Schedules:
        algorithm = GA(
            pop_size=self.population,
            sampling=self._first(problem, rng),
            **operators(problem, ledger),
        )
        return evolve(algorithm, BookedProblem(problem, ledger, objectives=1), ledger, rng)

    def _first(self, problem: SearchProblem, rng: np.random.Generator) -> Schedules:
        X = stratified(problem, self.population, rng, lowest=LOWEST)
        if not self.seeded:
            return X
        seeds = uniform_schedules(problem)
        dearest = np.argsort(-problem.cost(seeds), kind="stable")[: self.population // 2]
        return np.concatenate([seeds[dearest], X[: self.population - len(dearest)]])
