"""Schedules with one solver step a slot: DDIM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError
from omsdpm.spaces._base import Schedules, ScheduleSpace, check_counts

TRAIN_STEPS = 1000
"""Steps of the discrete process that the networks are trained on."""


@dataclass(frozen=True)
class DDIMSpace(ScheduleSpace):
    """``(num_models + 1) ** length - 1`` schedules; slot ``i`` is timestep ``i * (1000 // length)``.

    Example:
        >>> space = DDIMSpace(num_models=6, length=20)
        >>> space.random(2, np.random.default_rng(0)).shape
        (2, 20)
    """

    solver: ClassVar[str] = "ddim"
    num_models: int
    length: int

    def __post_init__(self) -> None:
        check_counts(num_models=self.num_models, length=self.length)
        if self.length > TRAIN_STEPS:
            raise InputError(f"length={self.length}: at most {TRAIN_STEPS} slots, one a training timestep")

    @property
    def timesteps(self) -> NDArray[np.int64]:
        """``(L,)``: the model-input timestep of each slot."""
        return np.arange(self.length) * (TRAIN_STEPS // self.length)

    @property
    def cardinality(self) -> int:
        return (self.num_models + 1) ** self.length - 1

    def _well_formed(self, X: Schedules) -> NDArray[np.bool_]:
        return np.ones(len(X), dtype=bool)

    def _mend(self, X: Schedules) -> Schedules:
        return X

    def canonical(self, X: ArrayLike) -> Schedules:
        """No two DDIM schedules sample the same images: ``X`` itself."""
        return self.as_batch(X)

    def enumerate(self) -> Schedules:
        self._check_enumerable()
        ranks = np.arange(1, self.cardinality + 1)
        powers = (self.num_models + 1) ** np.arange(self.length)[::-1]
        return ranks[:, None] // powers % (self.num_models + 1)
