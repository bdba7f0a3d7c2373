"""The best schedules so far, changed a little, again and again."""

import numpy as np

from omsdpm.solvers.space import check_counts
from studies import Optimizer
from studies.optimizers.moves import mutate
from studies.optimizers.starts import stratified, within_budget


class DescentOptimizer(Optimizer):
    """Local search from the best schedules so far."""

    multi_objective = False

    def __init__(self, *, batch=20):
        check_counts(batch=batch)
        self.batch = batch

    def _search(self, problem, ledger, rng):
        ledger.score(stratified(problem, self.batch, rng, lowest=0.5))
        while ledger.open:
            best = ledger.schedules[np.argsort(ledger.scores, kind="stable")[: self.batch]]
            ledger.score(within_budget(problem, mutate(problem.space, best, rng), rng))
