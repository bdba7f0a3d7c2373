"""What all of Optuna's samplers need to search schedules: slots as parameters, and quiet."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from omsdpm.errors import InputError, one_line
from omsdpm.pareto import nondominated
from omsdpm.solvers import ScheduleSpace
from studies.optimizers.ledger import Ledger


def slot_parameters(space: ScheduleSpace) -> dict[str, BaseDistribution]:
    """One categorical parameter a slot: null and the members, without order."""
    return {f"slot{i:03}": CategoricalDistribution(tuple(range(space.num_models + 1))) for i in range(space.length)}


def remembered(values: NDArray[np.float64], most: int) -> NDArray[np.int64]:
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


class StoredStudy:
    """A search as a study in an Optuna storage, which ``optuna-dashboard`` and ``optuna.load_study`` open.

    It holds every schedule that was scored, as a complete trial: its slots as parameters, the
    predicted score as value (and the latency, where both are objectives), the latency also as the
    user attribute ``latency_ms``. The search itself does not read it, so that its results are the
    same with and without. Each search is a study of its own; a name that is taken gets a number.

    Args:
        storage: a URL as ``sqlite:///study.db``, or the path of a journal file; ``None`` keeps nothing.
        name: of the study; the budget is added.
        objectives: 1 for the score, 2 for score and latency.
        ledger: of the search.

    Raises:
        InputError: a storage that cannot be opened.
    """

    def __init__(self, storage: str | None, name: str, objectives: int, ledger: Ledger) -> None:
        self._ledger, self._objectives, self._done = ledger, objectives, 0
        self._study: optuna.Study | None = None
        if storage is None:
            return
        budget = ledger.problem.budget
        first = name if budget is None else f"{name}-{budget:.12g}ms"
        with quiet():
            try:
                opened = open_storage(storage)
                taken = set(optuna.get_all_study_names(opened))
                number, free = 1, first
                while free in taken:
                    number += 1
                    free = f"{first}-{number}"
                self._study = optuna.create_study(storage=opened, study_name=free, directions=["minimize"] * objectives)
                if budget is not None:
                    self._study.set_user_attr("budget_ms", budget)
                names = ["predicted score", "latency (ms)"][:objectives]
                self._study.set_metric_names(names)
            except InputError:
                raise
            except Exception as error:  # each database has errors of its own
                raise InputError(
                    f"storage {storage!r} cannot be opened: {one_line(error)[:200]}; give a URL as "
                    "sqlite:///study.db, or the path of a journal file"
                ) from error

    def keep(self) -> None:
        """Adds what was scored since the last call."""
        if self._study is None or len(self._ledger) == self._done:
            return
        X, scores = self._ledger.schedules[self._done :], self._ledger.scores[self._done :]
        cost = self._ledger.problem.cost(X)
        slots = slot_parameters(self._ledger.problem.space)
        trials = [
            optuna.create_trial(
                params=dict(zip(slots, x, strict=True)),
                distributions=slots,
                values=[score, ms][: self._objectives],
                user_attrs={"latency_ms": ms},
            )
            for x, score, ms in zip(X.tolist(), scores.tolist(), cost.tolist(), strict=True)
        ]
        with quiet():
            self._study.add_trials(trials)
        self._done = len(self._ledger)


def open_storage(storage: str) -> Any:
    """An Optuna storage by its URL, or by the path of a journal file."""
    if "://" in storage:
        return optuna.storages.get_storage(storage)
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(os.path.expanduser(storage)))


def check_storage(storage: str | None, study: str) -> None:
    """Raises :class:`InputError` for a storage or a study's name that is no text."""
    if storage is not None and not (isinstance(storage, str) and storage):
        raise InputError(f"storage={storage!r}: expected a URL as sqlite:///study.db, or a file's path")
    if not (isinstance(study, str) and study):
        raise InputError(f"study={study!r}: expected the study's name")


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna reports every trial, and warns that options are experimental, on standard error."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
