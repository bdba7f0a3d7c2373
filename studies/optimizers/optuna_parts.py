"""What all of Optuna's samplers need to search schedules: slots as parameters, and quiet."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from omsdpm.pareto import nondominated
from omsdpm.solvers import ScheduleSpace


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
