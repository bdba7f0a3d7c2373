"""DDIM (Song, Meng & Ermon, arXiv:2010.02502, Eq. 12): first order, one stage a slot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.solvers.plan import START, Combination, Plan, Stage
from omsdpm.solvers.space import Schedules, ScheduleSpace, check_counts

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


def compile_ddim(schedule: Sequence[int], timesteps: Sequence[int], noise: Noise, eta: float = 0.0) -> Plan:
    """The plan of one schedule.

    Args:
        schedule: ``(L,)`` members, index 0 = image end.
        timesteps: ``(L,)`` model-input timestep of each slot.
        noise: gives ``alpha_bar`` at the timesteps.
        eta: 0 is deterministic, 1 is ancestral sampling (Eq. 16).
    """
    active = [slot for slot in range(len(schedule) - 1, -1, -1) if schedule[slot]]
    alpha_bars = [float(a) for a in noise.alpha_bar([timesteps[slot] for slot in active])] + [1.0]
    stages, entering = [], START
    for number, slot in enumerate(active, start=1):
        stages.append(Stage(int(schedule[slot]), float(timesteps[slot]), entering))
        here, there = alpha_bars[number - 1 : number + 1]
        spread = eta * math.sqrt((1 - there) / (1 - here) * (1 - here / there))
        scale = math.sqrt(there / here)
        direction = math.sqrt(max(1 - there - spread**2, 0.0)) - scale * math.sqrt(1 - here)
        entering = Combination(
            states=((number, scale),),
            outputs=((number, direction),),
            noise=(int(timesteps[slot]), spread) if spread else None,
        )
    return Plan(tuple(stages), closing=entering)
