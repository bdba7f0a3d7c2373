"""Simulated annealing, then hill climbing, in the style of BudCache (arXiv:2606.13496)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.solvers.space import check_counts
from studies.optimizers.base import Optimizer
from studies.optimizers.ledger import Ledger
from studies.optimizers.moves import mutate
from studies.optimizers.starts import stratified, uniform_schedules, within_budget
from studies.problem import SearchProblem

Schedules = NDArray[np.int64]  # (n, L)

LOWEST = 0.8
"""Random starts cost from this part of the budget to all of it."""

COLDEST = 0.01
"""The last temperature of the annealing, as a part of the first."""

RANDOM = 0.2
"""Part of the climbs that start at random."""

TRIES = 10
"""Draws of moves in search of ones that lead to an unseen schedule."""


class AnnealOptimizer(Optimizer):
    """Simulated annealing of a few chains, then hill climbing from the best, one run a budget.

    A chain moves to a neighbor that is better, or worse by ``d`` with probability
    ``exp(-d / T)``; ``T`` falls geometrically from ``heat`` times the spread of the first
    scores. The rest of the evaluations climb: neighbors of the best schedule are scored
    until one is better, whose neighbors come next; where none is better, the climb starts
    again a few moves away from one of the best, or at random. Moves over the budget are repaired.

    Args:
        chains: chains that anneal side by side.
        heat: first temperature, in standard deviations of the first scores.
        annealed: part of the evaluations that anneal, from 0 to 1.
        batch: neighbors scored at a time while climbing.
    """

    multi_objective: ClassVar[bool] = False

    def __init__(self, *, chains: int = 4, heat: float = 0.3, annealed: float = 0.5, batch: int = 8) -> None:
        check_counts(chains=chains, batch=batch)
        if not isinstance(heat, (int, float)) or not 0 < heat < np.inf:
            raise InputError(f"heat={heat!r}: expected a positive number of standard deviations")
        if not isinstance(annealed, (int, float)) or not 0 <= annealed <= 1:
            raise InputError(f"annealed={annealed!r}: expected a part of the evaluations, from 0 to 1")
        self.chains = chains
        self.heat = heat
        self.annealed = annealed
        self.batch = batch

    def _search(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> None:
        self._anneal(problem, ledger, rng)
        climbed: set[bytes] = set()
        while ledger.open:
            self._climb(problem, ledger, rng, self._start(problem, ledger, climbed, rng))

    def _anneal(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> None:
        seeds = uniform_schedules(problem)
        dearest = np.argsort(-problem.cost(seeds), kind="stable")[: self.chains]
        first = np.concatenate([seeds[dearest], stratified(problem, self.chains, rng, lowest=LOWEST)])
        scores = ledger.score(first)
        X = first[np.argsort(scores, kind="stable")[: self.chains]]
        scores = np.sort(scores, kind="stable")[: self.chains]
        hottest = self.heat * float(np.std(ledger.scores))
        end = self.annealed * ledger.evaluations
        while ledger.open and len(ledger) < end:
            Y = _moved(problem, ledger, X, rng)
            new = ledger.score(Y)
            temperature = hottest * COLDEST ** (len(ledger) / end)
            accepted = new < scores + temperature * rng.exponential(size=len(X))  # exp((old - new) / T) > u
            X[accepted], scores[accepted] = Y[accepted], new[accepted]

    def _climb(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator, x: Schedules) -> None:
        """From a schedule ``(1, L)`` to one that has no better neighbor within the budget."""
        (best,) = ledger.score(x)
        while ledger.open:
            near = _around(problem, ledger, x[0], rng)
            for at in range(0, len(near), self.batch):
                scores = ledger.score(near[at : at + self.batch])
                if scores.min() < best:
                    x, best = near[[at + int(scores.argmin())]], scores.min()
                    break
            else:
                return

    def _start(
        self, problem: SearchProblem, ledger: Ledger, climbed: set[bytes], rng: np.random.Generator
    ) -> Schedules:
        """``(1, L)``: the best that no climb began at; else moves away from one of the best, or a random one."""
        best = ledger.schedules[np.argsort(ledger.scores, kind="stable")[: self.chains]]
        for x in best:
            if x.tobytes() not in climbed:
                climbed.add(x.tobytes())
                return x[None]
        if rng.random() < RANDOM:
            return stratified(problem, 1, rng, lowest=LOWEST)
        x = best[[rng.integers(len(best))]]
        kicked = mutate(problem.space, mutate(problem.space, x, rng), rng)
        return problem.space.canonical(within_budget(problem, kicked, rng))


def _moved(problem: SearchProblem, ledger: Ledger, X: Schedules, rng: np.random.Generator) -> Schedules:
    """``(n, L) -> (n, L)``: a neighbor of each row within the budget, an unseen one where tries find it."""
    Y = X.copy()
    waiting = np.arange(len(X))
    for _ in range(TRIES):
        Y[waiting] = within_budget(problem, mutate(problem.space, X[waiting], rng), rng)
        waiting = np.flatnonzero(~ledger.unseen(Y))
        if not len(waiting):
            break
    return Y


def _around(problem: SearchProblem, ledger: Ledger, x: NDArray[np.int64], rng: np.random.Generator) -> Schedules:
    """Unseen neighbors of ``x`` ``(L,)`` within the budget, and exchanges of two of its slots, in random order."""
    space = problem.space
    at = np.flatnonzero(x)
    one, other = (indices.ravel() for indices in np.meshgrid(at, np.flatnonzero(x == 0)))
    exchanged = np.repeat(x[None, :], len(one), axis=0)
    rows = np.arange(len(one))
    exchanged[rows, other], exchanged[rows, one] = x[one], 0
    near = space.canonical(np.concatenate([space.neighbors(x), space.repair(exchanged)]))
    near = near[problem.fits(near)]
    near = near[ledger.unseen(near)]
    return near[rng.permutation(len(near))]
