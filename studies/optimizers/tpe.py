"""The tree-structured Parzen estimator (Bergstra et al., 2011) by Optuna."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from omsdpm.pareto import nondominated
from omsdpm.solvers.space import check_counts
from studies.optimizers.base import Optimizer
from studies.optimizers.ledger import Ledger
from studies.optimizers.starts import stratified, within_budget
from studies.problem import SearchProblem

Schedules = NDArray[np.int64]  # (n, L)


class TPEOptimizer(Optimizer):
    """Optuna's TPE, one categorical parameter a slot, asked for and scored in batches.

    With a budget it minimizes the predicted score; without, score and latency at once.
    Proposals that are malformed or cost too much are repaired before they are scored, and
    the sampler learns of the schedule that was scored. Every batch is drawn from a study
    that holds the best schedules so far and the latest others: asking takes time in
    proportion to the study's size, so with all trials in it a run would take quadratic
    time. As it is, Optuna takes some 10 ms a schedule: give it a tenth of the evaluations
    of the others.

    Args:
        batch: schedules asked for before they are scored.
        startup: random designs, spread over latency, before the first batch.
        memory: trials that the sampler sees; more is slower.
    """

    multi_objective: ClassVar[bool] = False

    def __init__(self, *, batch: int = 64, startup: int = 128, memory: int = 192) -> None:
        check_counts(batch=batch, startup=startup, memory=memory)
        self.batch = batch
        self.startup = startup
        self.memory = memory

    def _search(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> None:
        lowest = 0.0 if problem.budget is None else 0.5
        ledger.score(stratified(problem, min(self.startup, ledger.remaining), rng, lowest=lowest))
        with _quiet():
            while ledger.open:
                X = self._ask(problem, ledger, rng)
                X = within_budget(problem, X, rng)
                known = np.flatnonzero(~ledger.unseen(X))
                X[known] = _other(problem, X[known], rng)
                ledger.score(X)

    def _ask(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> Schedules:
        """``(batch, L)`` proposals, not repaired."""
        values = ledger.scores[:, None]
        if problem.budget is None:
            values = np.column_stack([values, problem.cost(ledger.schedules)])
        rows = _remembered(values, self.memory)
        distributions: dict[str, BaseDistribution] = {
            f"slot{i:03}": CategoricalDistribution(tuple(range(problem.space.num_models + 1)))
            for i in range(problem.space.length)
        }
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=0, multivariate=True, constant_liar=False, seed=int(rng.integers(2**31))
        )
        study = optuna.create_study(directions=["minimize"] * values.shape[1], sampler=sampler)
        for x, value in zip(ledger.schedules[rows].tolist(), values[rows].tolist(), strict=True):
            params = dict(zip(distributions, x, strict=True))
            study.add_trial(optuna.create_trial(params=params, distributions=distributions, values=value))
        asked = [study.ask(distributions) for _ in range(min(self.batch, ledger.remaining))]
        return np.array([[trial.params[name] for name in distributions] for trial in asked], dtype=np.int64)


def _remembered(values: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """At most ``most`` rows of ``(n, objectives)``, in their order: half the best, half the latest."""
    n = len(values)
    if n <= most:
        return np.arange(n)
    kept = np.zeros(n, dtype=bool)
    if values.shape[1] == 1:
        kept[np.argsort(values[:, 0], kind="stable")[: most // 2]] = True
    else:
        left = np.arange(n)
        while kept.sum() < most // 2:  # front after front
            front = left[nondominated(values[left, 0], values[left, 1])]
            kept[front[: most // 2 - int(kept.sum())]] = True
            left = np.setdiff1d(left, front)
    kept[np.flatnonzero(~kept)[-(most - int(kept.sum())) :]] = True
    return np.flatnonzero(kept)


def _other(problem: SearchProblem, X: Schedules, rng: np.random.Generator) -> Schedules:
    """Neighbors of schedules that are known already."""
    X = X.copy()
    X[np.arange(len(X)), rng.integers(X.shape[1], size=len(X))] = rng.integers(
        problem.space.num_models + 1, size=len(X)
    )
    return within_budget(problem, X, rng)


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna reports every trial, and warns that options are experimental, on standard error."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
