"""NSGA-II (Deb et al., 2002) by pymoo, with operators that know schedules."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.repair import Repair
from pymoo.core.termination import NoTermination

from benchmarks.strategies.single import single_member
from omsdpm.solvers.space import check_counts
from studies.optimizers.base import Optimizer
from studies.optimizers.ledger import Ledger
from studies.optimizers.moves import cross, mutate
from studies.optimizers.starts import stratified, within_budget
from studies.problem import SearchProblem

Schedules = NDArray[np.int64]  # (n, L)


ROUNDS = 20
"""Rounds of mating in search of enough unseen children; a space that is nearly used up needs
them all, and pymoo's 100 take most of the time there."""


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
            crossover=_Crossover(problem),
            mutation=_Mutation(problem),
            repair=_Repair(problem),
            eliminate_duplicates=_Unseen(ledger),
        )
        algorithm.mating.n_max_iterations = ROUNDS
        algorithm.setup(_Problem(problem, ledger), termination=NoTermination(), seed=int(rng.integers(2**31)))
        while ledger.open:
            generation = algorithm.ask()
            if generation is None:  # no move finds a schedule that was not seen
                break
            generation = generation[: ledger.remaining]
            algorithm.evaluator.eval(algorithm.problem, generation)
            algorithm.tell(infills=generation)
        return algorithm.pop.get("X").astype(np.int64)

    def _first(self, problem: SearchProblem, rng: np.random.Generator) -> Schedules:
        X = stratified(problem, self.population, rng)
        if self.seeded:
            seeds = uniform_schedules(problem)
            most = self.population // 2
            seeds = seeds[rng.permutation(len(seeds))[:most]]
            X = np.concatenate([seeds, X[: self.population - len(seeds)]])
        return X


def uniform_schedules(problem: SearchProblem) -> Schedules:
    """Every member at every number of uniform steps that fits, in every order of the solver's steps, ``(n, L)``."""
    space = problem.space
    rows = [
        single_member(space, member, steps, order=order)
        for order in space.orders
        for member in range(1, space.num_models + 1)
        for steps in range(1, space.most_steps(order) + 1)
    ]
    X = np.stack(rows)
    return np.unique(X[problem.fits(X)], axis=0)


class _Problem(Problem):
    """(predicted score, latency) of a whole generation at once."""

    def __init__(self, problem: SearchProblem, ledger: Ledger) -> None:
        space = problem.space
        super().__init__(n_var=space.length, n_obj=2, xl=0, xu=space.num_models, vtype=int)
        self._search_problem = problem
        self._ledger = ledger

    def _evaluate(self, x: Schedules, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        out["F"] = np.column_stack([self._ledger.score(x), self._search_problem.cost(x)])


class _Crossover(Crossover):
    def __init__(self, problem: SearchProblem) -> None:
        super().__init__(n_parents=2, n_offsprings=2, prob=0.5)
        self._space = problem.space

    def _do(self, problem: Problem, X: Schedules, *args: Any, random_state: Any = None, **kwargs: Any) -> Schedules:
        return np.stack(cross(self._space, X[0], X[1], random_state))  # (2, n, L)


class _Mutation(Mutation):
    def __init__(self, problem: SearchProblem) -> None:
        super().__init__(prob=1.0)
        self._space = problem.space

    def _do(self, problem: Problem, X: Schedules, *args: Any, random_state: Any = None, **kwargs: Any) -> Schedules:
        return mutate(self._space, X, random_state)


class _Repair(Repair):
    def __init__(self, problem: SearchProblem) -> None:
        super().__init__()
        self._search_problem = problem

    def _do(self, problem: Problem, X: Schedules, *args: Any, random_state: Any = None, **kwargs: Any) -> Schedules:
        return self._search_problem.space.canonical(within_budget(self._search_problem, X, random_state))


class _Unseen(DuplicateElimination):
    """Drops what was scored before, in any generation, or stands earlier in the same one."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    def do(self, pop: Population, *args: Population, **kwargs: Any) -> Population:
        if not len(pop):
            return pop
        accepted = [other.get("X") for other in args if len(other)]
        known = np.concatenate([*accepted, pop.get("X")]).astype(np.int64)
        return pop[self._ledger.unseen(known)[-len(pop) :]]
