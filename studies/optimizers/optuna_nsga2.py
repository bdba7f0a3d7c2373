"""NSGA-II by Optuna, with its own operators for categories."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState

from omsdpm.errors import InputError
from omsdpm.solvers.space import check_counts
from studies.optimizers.base import Optimizer
from studies.optimizers.ledger import Ledger
from studies.optimizers.optuna_parts import StoredStudy, check_storage, quiet, slot_parameters
from studies.optimizers.starts import neighbors_of, seeded, stratified, within_budget
from studies.problem import SearchProblem

Schedules = NDArray[np.int64]  # (n, L)


class OptunaNSGA2Optimizer(Optimizer):
    """Optuna's NSGA-II on (predicted score, latency), one categorical parameter a slot.

    Beside ``nsga2`` it shows what operators that know nothing of schedules reach: slots are
    exchanged one by one and redrawn at random. The first generation and the repair to the
    budget are those of ``nsga2``; the sampler learns of the schedule that was scored, and a
    proposal that is known is replaced by a neighbor of it. Optuna takes some 1 to 2 ms a
    schedule.

    Args:
        population: schedules a generation, at least 4.
        mutation: probability that a slot is redrawn; ``None`` is one slot a schedule.
        seeded: start from uniform single-member schedules too.
        storage: an Optuna storage that keeps every trial, as ``sqlite:///study.db`` or the path of a journal file.
        study: the study's name there.
    """

    multi_objective: ClassVar[bool] = True

    def __init__(
        self,
        *,
        population: int = 50,
        mutation: float | None = None,
        seeded: bool = True,
        storage: str | None = None,
        study: str = "optuna-nsga2",
    ) -> None:
        check_counts(population=population)
        check_storage(storage, study)
        self.storage = storage
        self.study = study
        if mutation is not None and not (isinstance(mutation, (int, float)) and 0 <= mutation <= 1):
            raise InputError(f"mutation={mutation!r}: expected a probability from 0 to 1")
        self.population = max(4, population)
        self.mutation = mutation
        self.seeded = seeded

    def _search(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> None:
        stored = StoredStudy(self.storage, self.study, 2, ledger)
        slots = slot_parameters(problem.space)
        sampler = optuna.samplers.NSGAIISampler(
            population_size=self.population, mutation_prob=self.mutation, seed=int(rng.integers(2**31))
        )
        with quiet():
            study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
            designs = (seeded if self.seeded else stratified)(problem, self.population, rng)
            while ledger.open:
                X, attributes = _ask(study, slots, self.population)
                if len(ledger):
                    X = within_budget(problem, X, rng)
                    known = np.flatnonzero(~ledger.unseen(X))
                    X[known] = neighbors_of(problem, X[known], rng)
                else:
                    X = designs
                scores = ledger.score(X)
                stored.keep()
                for x, score, cost, own in zip(X.tolist(), scores, problem.cost(X), attributes, strict=True):
                    if np.isfinite(score):  # the allowance may end within a generation
                        params = dict(zip(slots, x, strict=True))
                        values = [float(score), float(cost)]
                        study.add_trial(
                            optuna.create_trial(params=params, distributions=slots, values=values, system_attrs=own)
                        )


def _ask(study: optuna.Study, slots: dict[str, BaseDistribution], n: int) -> tuple[Schedules, list[dict[str, Any]]]:
    """``(n, L)`` proposals, not repaired, and what the sampler noted of each: its generation.

    The trials themselves are given up: what is told in their place is the repaired schedule.
    """
    asked = [study.ask(slots) for _ in range(n)]
    X = np.array([[trial.params[name] for name in slots] for trial in asked], dtype=np.int64)
    trials = study.get_trials(deepcopy=False)
    attributes = [dict(trials[trial.number].system_attrs) for trial in asked]
    for trial in asked:
        study.tell(trial, state=TrialState.FAIL)
    return X, attributes
