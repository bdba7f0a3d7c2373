"""Bayesian optimization with a Gaussian process (Jones et al., 1998) by Optuna."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import optuna
from numpy.typing import NDArray

from omsdpm.solvers.space import check_counts
from studies.optimizers.base import Optimizer
from studies.optimizers.ledger import Ledger
from studies.optimizers.optuna_parts import StoredStudy, check_storage, quiet, remembered, slot_parameters
from studies.optimizers.starts import neighbors_of, stratified, within_budget
from studies.problem import SearchProblem

Schedules = NDArray[np.int64]  # (n, L)

LOWEST = 0.5
"""Designs cost from this part of the budget to all of it."""

TRIES = 10
"""Draws of designs, and steps away from a proposal that is known: the process repeats its best schedule."""


class OptunaGPOptimizer(Optimizer):
    """Optuna's GP sampler, a Gaussian process over slots as categories, one run a budget.

    For objectives that are dear, as ``oracle`` is on a sampling benchmark: a proposal takes some
    0.1 to 1 s, as long as thousands of predictions. Its kernel counts the slots in which two
    schedules differ and knows neither cost nor order of the slots; it is fitted to the
    logarithm of the score where all scores are positive. Proposals that are malformed or over
    budget are repaired, and the sampler learns of the schedule that was scored. The process
    sees the best schedules so far and the latest others, as time grows with the cube of their
    number.

    Args:
        batch: schedules asked for before they are scored.
        startup: random designs before the first batch.
        memory: trials that the process sees.
        storage: an Optuna storage that keeps every trial, as ``sqlite:///study.db`` or the path of a journal file.
        study: the study's name there.
    """

    multi_objective: ClassVar[bool] = False

    def __init__(
        self,
        *,
        batch: int = 10,
        startup: int = 30,
        memory: int = 80,
        storage: str | None = None,
        study: str = "optuna-gp",
    ) -> None:
        check_counts(batch=batch, startup=startup, memory=memory)
        check_storage(storage, study)
        self.storage = storage
        self.study = study
        self.batch = batch
        self.startup = startup
        self.memory = memory

    def _search(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> None:
        stored = StoredStudy(self.storage, self.study, 1, ledger)
        for _ in range(TRIES):  # draws repeat themselves in a small space
            if len(ledger) < self.startup and ledger.open:
                ledger.score(stratified(problem, min(self.startup - len(ledger), ledger.remaining), rng, lowest=LOWEST))
        stored.keep()
        with quiet():
            while ledger.open:
                X = within_budget(problem, self._ask(problem, ledger, rng), rng)
                for _ in range(TRIES):
                    known = np.flatnonzero(~ledger.unseen(X))
                    X[known] = neighbors_of(problem, X[known], rng)
                if not ledger.unseen(X).any():
                    X = stratified(problem, self.batch, rng)
                    if not ledger.unseen(X).any():
                        return  # as good as all are known, and asking again would take long
                ledger.score(X)
                stored.keep()

    def _ask(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> Schedules:
        """``(batch, L)`` proposals, not repaired."""
        scores = ledger.scores
        values = np.log(scores) if (scores > 0).all() else scores
        rows = remembered(values[:, None], self.memory)
        slots = slot_parameters(problem.space)
        sampler = optuna.samplers.GPSampler(
            n_startup_trials=0, deterministic_objective=True, seed=int(rng.integers(2**31))
        )
        study = optuna.create_study(direction="minimize", sampler=sampler)
        for x, value in zip(ledger.schedules[rows].tolist(), values[rows].tolist(), strict=True):
            params = dict(zip(slots, x, strict=True))
            study.add_trial(optuna.create_trial(params=params, distributions=slots, values=[value]))
        asked = [study.ask(slots) for _ in range(min(self.batch, ledger.remaining))]
        return np.array([[trial.params[name] for name in slots] for trial in asked], dtype=np.int64)
