"""What all of pymoo's algorithms need to search schedules: the problem, operators, repair, duplicates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.base.genetic import GeneticAlgorithm
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.infill import InfillCriterion
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.repair import Repair
from pymoo.core.termination import NoTermination
from pymoo.operators.selection.tournament import TournamentSelection

from studies.optimizers.ledger import Ledger
from studies.optimizers.moves import cross, mutate
from studies.optimizers.starts import within_budget
from studies.problem import SearchProblem

Schedules = NDArray[np.int64]  # (n, L)

ROUNDS = 20
"""Rounds of mating in search of enough unseen children; a space that is nearly used up needs
them all, and pymoo's 100 take most of the time there."""

CROSSED = 0.5
"""Pairs of parents whose children exchange slots."""

MOST_ASKED = 8
"""Children of a round at most, in generations: where nearly all are known, more would be bred in vain."""


def evolve(algorithm: GeneticAlgorithm, problem: Problem, ledger: Ledger, rng: np.random.Generator) -> Schedules:
    """Runs generations while the ledger is open; the last population, ``(n, L)``."""
    algorithm.setup(problem, termination=NoTermination(), seed=int(rng.integers(2**31)))
    while ledger.open:
        generation = algorithm.ask()
        if generation is None:  # no move finds a schedule that was not seen
            break
        generation = generation[: ledger.remaining]
        algorithm.evaluator.eval(algorithm.problem, generation)
        algorithm.tell(infills=generation)
    population: Schedules = algorithm.pop.get("X").astype(np.int64)
    return population


def operators(problem: SearchProblem, ledger: Ledger) -> dict[str, Any]:
    """What pymoo's genetic algorithms are made with: how schedules mate, keep a budget, and are new."""
    return {
        "mating": ScheduleMating(problem, ledger),
        "repair": BudgetRepair(problem),
        "eliminate_duplicates": UnseenOnly(ledger),
    }


class ScheduleMating(InfillCriterion):
    """Children of a generation: parents by tournament, runs of slots exchanged, slots changed, the budget kept.

    As pymoo's ``Mating`` with the operators below, but on arrays, and an individual is made only of a child
    that was never scored. pymoo asks for as many children as are lacking, round after round; late in a search
    nearly all are known, and a round takes as long for one child as for fifty, so here it asks for as many as
    it takes, from what share of them was new before.
    """

    def __init__(self, problem: SearchProblem, ledger: Ledger) -> None:
        super().__init__(n_max_iterations=ROUNDS)
        self._problem, self._ledger = problem, ledger
        self._selection = TournamentSelection(func_comp=tournament)

    def do(
        self, problem: Problem, pop: Population, n_offsprings: int, random_state: Any = None, **kwargs: Any
    ) -> Population:
        """Children that were never scored, ``n_offsprings`` of them or fewer where no round finds more."""
        X = pop.get("X").astype(np.int64)
        children, asked = X[:0], 0
        for _ in range(self.n_max_iterations):
            lacking = n_offsprings - len(children)
            if not lacking:
                break
            share = max(len(children), 1) / asked if asked else 1.0
            wanted = min(math.ceil(lacking / share), MOST_ASKED * n_offsprings)
            asked += wanted
            pairs = self._selection.do(
                problem, pop, -(-wanted // 2), n_parents=2, to_pop=False, random_state=random_state, **kwargs
            )
            born = np.concatenate([children, self._born(X[pairs], random_state)])
            new = self._ledger.unseen(born)
            children = born[new][:n_offsprings]
        return Population.new("X", children)

    def _born(self, parents: NDArray[np.int64], rng: np.random.Generator) -> Schedules:
        """``(m, 2, L) -> (2 m, L)``: two children of each pair, canonical and within budget."""
        space = self._problem.space
        first, second = parents[:, 0], parents[:, 1]
        crossed = rng.random((len(parents), 1)) < CROSSED
        ours, theirs = cross(space, first, second, rng)
        children = np.concatenate([np.where(crossed, ours, first), np.where(crossed, theirs, second)])
        return space.canonical(within_budget(self._problem, mutate(space, children, rng), rng))


def tournament(pop: Population, P: NDArray[np.int64], random_state: Any = None, **kwargs: Any) -> NDArray[np.int64]:
    """Of two individuals the one that dominates, or the one that is less crowded: ``(n, 2) -> (n, 1)``.

    As pymoo's ``binary_tournament`` (Deb et al., 2002), for all pairs at once; with a single objective the
    better one. Of equals either.
    """
    F = pop.get("F")
    a, b = F[P[:, 0]], F[P[:, 1]]
    less, more = (a < b).any(axis=1), (a > b).any(axis=1)
    gain = less.astype(float) - more  # 0 where neither dominates
    if F.shape[1] > 1:
        crowding = pop.get("crowding").astype(float)
        a, b = crowding[P[:, 0]], crowding[P[:, 1]]
        gain = np.where(gain == 0, (a > b).astype(float) - (a < b), gain)  # both may be infinite
    second = np.where(gain == 0, random_state.random(len(P)) < 0.5, gain < 0)
    return P[np.arange(len(P)), second.astype(int)][:, None]


class BookedProblem(Problem):
    """(predicted score, latency), or the score alone, of a whole generation at once.

    Args:
        problem: what is searched.
        ledger: where every score is booked.
        objectives: 2 for score and latency, 1 for the score.
    """

    def __init__(self, problem: SearchProblem, ledger: Ledger, objectives: int = 2) -> None:
        space = problem.space
        super().__init__(n_var=space.length, n_obj=objectives, xl=0, xu=space.num_models, vtype=int)
        self._search_problem = problem
        self._ledger = ledger

    def _evaluate(self, x: Schedules, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        out["F"] = np.column_stack([self._ledger.score(x), self._search_problem.cost(x)])[:, : self.n_obj]


class ScheduleCrossover(Crossover):
    """Exchanges runs of slots, see :func:`studies.optimizers.moves.cross`."""

    def __init__(self, problem: SearchProblem) -> None:
        super().__init__(n_parents=2, n_offsprings=2, prob=CROSSED)
        self._space = problem.space

    def _do(self, problem: Problem, X: Schedules, *args: Any, random_state: Any = None, **kwargs: Any) -> Schedules:
        return np.stack(cross(self._space, X[0], X[1], random_state))  # (2, n, L)


class ScheduleMutation(Mutation):
    """Changes slots, see :func:`studies.optimizers.moves.mutate`."""

    def __init__(self, problem: SearchProblem) -> None:
        super().__init__(prob=1.0)
        self._space = problem.space

    def _do(self, problem: Problem, X: Schedules, *args: Any, random_state: Any = None, **kwargs: Any) -> Schedules:
        return mutate(self._space, X, random_state)


class BudgetRepair(Repair):
    """Makes children valid, within budget and canonical."""

    def __init__(self, problem: SearchProblem) -> None:
        super().__init__()
        self._search_problem = problem

    def _do(self, problem: Problem, X: Schedules, *args: Any, random_state: Any = None, **kwargs: Any) -> Schedules:
        return self._search_problem.space.canonical(within_budget(self._search_problem, X, random_state))


class UnseenOnly(DuplicateElimination):
    """Drops what was scored before, in any generation, or stands earlier in the same one."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    def do(self, pop: Population, *args: Population, **kwargs: Any) -> Population:
        """Those of ``pop`` that are new."""
        if not len(pop):
            return pop
        accepted = [other.get("X") for other in args if len(other)]
        known = np.concatenate([*accepted, pop.get("X")]).astype(np.int64)
        return pop[self._ledger.unseen(known)[-len(pop) :]]
