"""NSGA-II (Deb et al., 2002) by pymoo, with operators that know schedules."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2

from omsdpm.solvers.space import check_counts
from studies.optimizers.base import Optimizer
from studies.optimizers.ledger import Ledger
from studies.optimizers.pymoo_parts import BookedProblem, evolve, operators
from studies.optimizers.starts import seeded, stratified
from studies.problem import SearchProblem

Schedules = NDArray[np.int64]  # (n, L)


class NSGA2Optimizer(Optimizer):
    """pymoo's NSGA-II on (predicted score, latency): the whole front in one run.

    The first generation is random designs spread over latency and, for up to half of it,
    what a user would try first: one member at uniform steps, every member and number of
    steps that fits. Children come from exchanging runs of slots and from slot-wise moves;
    a budget is kept by repair, with lighter members or fewer steps. No schedule is scored
    twice. The result is the last generation and the front of everything seen.

    Args:
        population: schedules a generation, at least 4.
        seeded: start from uniform single-member schedules too.
    """

    multi_objective: ClassVar[bool] = True

    def __init__(self, *, population: int = 50, seeded: bool = True) -> None:
        check_counts(population=population)
        self.population = max(4, population)
        self.seeded = seeded

    def _search(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> Schedules:
        algorithm = NSGA2(
            pop_size=self.population,
            sampling=self._first(problem, rng),
            **operators(problem, ledger),
        )
        return evolve(algorithm, BookedProblem(problem, ledger), ledger, rng)

    def _first(self, problem: SearchProblem, rng: np.random.Generator) -> Schedules:
        if self.seeded:
            return seeded(problem, self.population, rng)
        return stratified(problem, self.population, rng)
