"""The tree-structured Parzen estimator (Bergstra et al., 2011) by Optuna."""

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
        storage: an Optuna storage that keeps every trial, as ``sqlite:///study.db`` or the path of a journal file.
        study: the study's name there.
    """

    multi_objective: ClassVar[bool] = False

    def __init__(
        self, *, batch: int = 64, startup: int = 128, memory: int = 192, storage: str | None = None, study: str = "tpe"
    ) -> None:
        check_counts(batch=batch, startup=startup, memory=memory)
        check_storage(storage, study)
        self.storage = storage
        self.study = study
        self.batch = batch
        self.startup = startup
        self.memory = memory

    def _search(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> None:
        stored = StoredStudy(self.storage, self.study, 1 if problem.budget is not None else 2, ledger)
        lowest = 0.0 if problem.budget is None else 0.5
        ledger.score(stratified(problem, min(self.startup, ledger.remaining), rng, lowest=lowest))
        stored.keep()
        with quiet():
            while ledger.open:
                X = self._ask(problem, ledger, rng)
                X = within_budget(problem, X, rng)
                known = np.flatnonzero(~ledger.unseen(X))
                X[known] = neighbors_of(problem, X[known], rng)
                ledger.score(X)
                stored.keep()

    def _ask(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> Schedules:
        """``(batch, L)`` proposals, not repaired."""
        values = ledger.scores[:, None]
        if problem.budget is None:
            values = np.column_stack([values, problem.cost(ledger.schedules)])
        rows = remembered(values, self.memory)
        distributions = slot_parameters(problem.space)
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=0, multivariate=True, constant_liar=False, seed=int(rng.integers(2**31))
        )
        study = optuna.create_study(directions=["minimize"] * values.shape[1], sampler=sampler)
        for x, value in zip(ledger.schedules[rows].tolist(), values[rows].tolist(), strict=True):
            params = dict(zip(distributions, x, strict=True))
            study.add_trial(optuna.create_trial(params=params, distributions=distributions, values=value))
        asked = [study.ask(distributions) for _ in range(min(self.batch, ledger.remaining))]
        return np.array([[trial.params[name] for name in distributions] for trial in asked], dtype=np.int64)
