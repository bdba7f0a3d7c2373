"""What all of pymoo's algorithms need to search schedules: the problem, operators, repair, duplicates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.base.genetic import GeneticAlgorithm
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.repair import Repair
from pymoo.core.termination import NoTermination

from studies.optimizers.ledger import Ledger
from studies.optimizers.moves import cross, mutate
from studies.optimizers.starts import within_budget
from studies.problem import SearchProblem

Schedules = NDArray[np.int64]  # (n, L)

ROUNDS = 20
"""Rounds of mating in search of enough unseen children; a space that is nearly used up needs
them all, and pymoo's 100 take most of the time there."""


def evolve(algorithm: GeneticAlgorithm, problem: Problem, ledger: Ledger, rng: np.random.Generator) -> Schedules:
    """Runs generations while the ledger is open; the last population, ``(n, L)``."""
    algorithm.mating.n_max_iterations = ROUNDS
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
    """What pymoo's genetic algorithms are made with: how schedules cross, change, keep a budget, and are new."""
    return {
        "crossover": ScheduleCrossover(problem),
        "mutation": ScheduleMutation(problem),
        "repair": BudgetRepair(problem),
        "eliminate_duplicates": UnseenOnly(ledger),
    }


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
        super().__init__(n_parents=2, n_offsprings=2, prob=0.5)
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
