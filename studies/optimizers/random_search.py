"""Random search."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from omsdpm.solvers.space import check_counts
from studies.optimizers.base import Optimizer
from studies.optimizers.ledger import Ledger
from studies.optimizers.starts import stratified
from studies.problem import SearchProblem


class RandomOptimizer(Optimizer):
    """Random designs spread over latency, up to the budget.

    What any optimizer has to beat. Members come from the paper's two priors; null
    probabilities are spread so that without a budget latencies are covered as evenly as
    the members allow, and with one, schedules cost about half of it to all of it.

    Args:
        batch: schedules scored at a time.
    """

    multi_objective: ClassVar[bool] = False

    def __init__(self, *, batch: int = 256) -> None:
        check_counts(batch=batch)
        self.batch = batch

    def _search(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> None:
        lowest = 0.0 if problem.budget is None else 0.5
        while ledger.open:
            ledger.score(stratified(problem, min(self.batch, ledger.remaining), rng, lowest=lowest))
