"""The search of OMS-DPM (Liu et al., ICML 2023, arXiv:2306.08860)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from omsdpm.solvers import ScheduleSpace
from omsdpm.solvers.space import check_counts
from studies.optimizers.base import Optimizer
from studies.optimizers.ledger import Ledger
from studies.optimizers.starts import within_budget
from studies.problem import SearchProblem

Schedules = NDArray[np.int64]  # (n, L)

WINDOW = 0.9
"""The first schedule costs between this part of the budget and all of it."""

START_STEPS = 1000


class EvolutionOptimizer(Optimizer):
    """The evolutionary search of the OMS-DPM paper, one run a budget.

    From one random schedule, brought to 0.9 to 1 of the budget; then rounds of mutation:
    a parent is the better predicted of two drawn at random, a mutation redraws 1 to 10
    slots, children over budget are dropped, and of population and children together the
    best are kept. A round's children are scored as one batch, which changes nothing, as
    they do not become parents before the next. Without a budget it starts from any random
    schedule and drops no child.

    Args:
        rounds: most rounds (the paper: 1000, for CelebA 500).
        mutations: most mutations in a round.
        children: most children of a round that fit the budget.
        population: schedules kept.
        slots: most slots that a mutation redraws.
    """

    multi_objective: ClassVar[bool] = False

    def __init__(
        self,
        *,
        rounds: int = 1000,
        mutations: int = 200,
        children: int = 40,
        population: int = 40,
        slots: int = 10,
    ) -> None:
        check_counts(rounds=rounds, mutations=mutations, children=children, population=population, slots=slots)
        self.rounds = rounds
        self.mutations = mutations
        self.children = children
        self.population = population
        self.slots = slots

    def _search(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> Schedules:
        X = first_schedule(problem, rng)
        scores = ledger.score(X)
        for _ in range(self.rounds):
            if not ledger.open:
                break
            drawn = rng.integers(len(X), size=(self.mutations, 2))
            parents = X[np.take_along_axis(drawn, scores[drawn].argmin(axis=1)[:, None], axis=1)[:, 0]]
            children = mutate_slots(problem.space, parents, rng, self.slots)
            children = children[problem.fits(children)][: self.children]
            children = children[ledger.unseen(children)]
            new_scores = ledger.score(children)
            merged, merged_scores = np.concatenate([X, children]), np.concatenate([scores, new_scores])
            kept = np.argsort(merged_scores, kind="stable")[: self.population]
            kept = kept[np.isfinite(merged_scores[kept])]  # the allowance may end within a round
            X, scores = merged[kept], merged_scores[kept]
        return X


def mutate_slots(space: ScheduleSpace, X: Schedules, rng: np.random.Generator, most: int = 10) -> Schedules:
    """``(n, L) -> (n, L)``: redraws 1 to ``most`` slots a row, one after the other, staying valid.

    A value is drawn uniformly among those that keep the schedule valid: with the slots of
    a solver in front of its nulls, a slot may hold a model only if the one before it in
    its group does, and null only if the one after it does. The last model of a schedule
    may change but not vanish.
    """
    X = X.copy()
    rows = np.arange(len(X))
    width = space.group_size
    most = min(most, space.length)
    counts = rng.integers(1, most + 1, size=len(X))
    slots = _lowest(rng.random(X.shape), most)  # distinct slots, in random order
    models = np.count_nonzero(X, axis=1)
    for turn in range(most):
        at = slots[:, turn]
        first, last = at % width == 0, at % width == width - 1
        model = first | (X[rows, at - 1] > 0)
        after = X[rows, np.minimum(at + 1, space.length - 1)]
        before = X[rows, at]
        null = (last | (after == 0)) & (models > (before > 0))
        lowest = np.where(null, 0, 1)
        highest = np.where(model, space.num_models, 0)
        active = (turn < counts) & (highest >= lowest)
        X[rows[active], at[active]] = rng.integers(lowest[active], highest[active] + 1)
        models += (X[rows, at] > 0).astype(np.int64) - (before > 0)
    return X


def _lowest(keys: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """``(n, L) -> (n, most)``: the columns of the lowest keys of each row, in rising order; all are not sorted."""
    if most >= keys.shape[1]:
        return np.argsort(keys, axis=1)
    lowest = np.argpartition(keys, most, axis=1)[:, :most]
    return np.take_along_axis(lowest, np.argsort(np.take_along_axis(keys, lowest, axis=1), axis=1), axis=1)


def first_schedule(problem: SearchProblem, rng: np.random.Generator) -> Schedules:
    """``(1, L)``: a random schedule, mutated until its cost is in [0.9, 1] of the budget.

    Where no schedule that it meets is in that window, the one below it that costs most.
    """
    space = problem.space
    x = space.random(1, rng)
    if problem.budget is None:
        return x
    best = within_budget(problem, x, rng)
    for _ in range(START_STEPS):
        cost = problem.cost(x)[0]
        if cost <= problem.budget and cost > problem.cost(best)[0]:
            best = x
        if WINDOW * problem.budget <= cost <= problem.budget:
            return x
        y = mutate_slots(space, x, rng, most=1)
        lighter = problem.cost(y)[0] < cost
        if lighter == (cost > problem.budget):
            x = y
    return best
