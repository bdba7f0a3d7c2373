"""Pareto local search (Paquete, Chiarandini and Stützle, 2004) from many starts."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from omsdpm.pareto import nondominated
from omsdpm.solvers.space import check_counts
from studies.optimizers.base import Optimizer
from studies.optimizers.ledger import Ledger
from studies.optimizers.moves import mutate
from studies.optimizers.starts import seeded, stratified, within_budget
from studies.problem import SearchProblem

Schedules = NDArray[np.int64]  # (n, L)

KICKS = 2
"""Rounds of moves that lead away from a front whose neighbors are all known."""


class LocalOptimizer(Optimizer):
    """Multi-start local search over the space's neighbors: the whole front in one run.

    The starts are uniform single-member schedules and random designs spread over latency.
    Then schedules of the front so far are visited, and neighbors of theirs within the budget
    that were not seen yet are scored; what is better joins the front and is visited in its
    turn. Where all neighbors of the front are known, the search starts again a few moves away
    from it, and from new random designs.

    Args:
        starts: schedules before the first visit.
        batch: neighbors scored at a time, spread over the schedules of the front.
    """

    multi_objective: ClassVar[bool] = True

    def __init__(self, *, starts: int = 30, batch: int = 20) -> None:
        check_counts(starts=starts, batch=batch)
        self.starts = starts
        self.batch = batch

    def _search(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> None:
        ledger.score(seeded(problem, self.starts, rng))
        visited: dict[bytes, Schedules] = {}  # schedule of the front -> its neighbors not tried yet, shuffled
        while ledger.open:
            front = ledger.schedules[nondominated(ledger.scores, problem.cost(ledger.schedules))]
            X = self._neighbors(problem, ledger, front, visited, rng)
            if not len(X):
                X = self._restart(problem, front, rng)
            ledger.score(X)

    def _restart(self, problem: SearchProblem, front: Schedules, rng: np.random.Generator) -> Schedules:
        """``(batch, L)``: a few moves away from the front, and some random designs."""
        kicked = front[rng.integers(len(front), size=self.batch)]
        for _ in range(KICKS):
            kicked = mutate(problem.space, kicked, rng)
        kicked = within_budget(problem, kicked, rng)
        return np.concatenate([kicked, stratified(problem, max(1, self.batch // 4), rng)])

    def _neighbors(
        self,
        problem: SearchProblem,
        ledger: Ledger,
        front: Schedules,
        visited: dict[bytes, Schedules],
        rng: np.random.Generator,
    ) -> Schedules:
        """Up to ``batch`` unseen neighbors, as many of each schedule of the front as of the others."""
        chosen: list[Schedules] = []
        count = 0
        share = max(1, self.batch // len(front))
        for x in front[rng.permutation(len(front))]:
            if count >= self.batch:
                break
            key = x.tobytes()
            if key not in visited:
                near = problem.space.canonical(problem.space.neighbors(x))
                visited[key] = near[problem.fits(near)]
                visited[key] = visited[key][rng.permutation(len(visited[key]))]
            near, taken = visited[key], 0
            while len(near) and not taken:  # a look at a few at a time: most are seen by none yet
                part, near = near[:share], near[share:]
                part = part[ledger.unseen(part)]
                taken = len(part)
                chosen.append(part)
            visited[key] = near
            count += taken
        X = np.concatenate(chosen) if chosen else np.empty((0, problem.space.length), dtype=np.int64)
        return X[ledger.unseen(X)]
