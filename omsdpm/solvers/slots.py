"""What solvers with one step a slot share: slots at given timesteps."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError, InputWarning
from omsdpm.noise import Noise
from omsdpm.solvers.batch import BatchPlan
from omsdpm.solvers.grids import Timesteps, grid_timesteps
from omsdpm.solvers.options import USUAL, SolverOptions, end_level
from omsdpm.solvers.slot_batch import SlotBatch
from omsdpm.solvers.space import Schedule, Schedules, ScheduleSpace, check_counts

TRAIN_STEPS = 1000
"""Timesteps that networks are usually trained on."""

LEFT_OUT = 0.05
"""Part of the timesteps that a grid of slots may leave out at the noise end without a word."""


@dataclass(frozen=True, repr=False)
class SlotSpace(ScheduleSpace):
    """``(num_models + 1) ** length - 1`` schedules; every slot is one solver step from a timestep of its own.

    Subclasses say how the step is made (:meth:`plan`).

    Args:
        num_models: members ``M`` of the zoo.
        length: slots ``L``.
        grid: model-input timestep of each slot in the order of sampling, falling, whole or not, as
            schedulers take them; ``None`` puts slot ``i`` at ``i * (train_steps // length)``, as the release and
            diffusers' "leading" spacing do. Where ``length`` does not divide ``train_steps``, the
            timesteps after the last slot's room are left out: 4 of 1,000 with 6 slots, but 400 with 600. Where
            that is a twentieth or more, an :class:`~omsdpm.errors.InputWarning` says so.
        train_steps: timesteps that the networks were trained on, for the usual grid.

    Raises:
        InputError: a count that is none, more slots than timesteps, or timesteps that do not fall.
    """

    takes_timesteps: ClassVar[bool] = True

    num_models: int
    length: int
    grid: tuple[float, ...] | None = None
    train_steps: int = TRAIN_STEPS

    def __post_init__(self) -> None:
        check_counts(num_models=self.num_models, length=self.length, train_steps=self.train_steps)
        if self.grid is not None:
            object.__setattr__(self, "grid", _checked_grid(self.grid, self.length))
        elif self.length > self.train_steps:
            raise InputError(f"length={self.length}: at most {self.train_steps} slots, one a training timestep")
        elif self.train_steps % self.length >= LEFT_OUT * self.train_steps:
            stride = self.train_steps // self.length
            warnings.warn(
                f"length={self.length}: slots every {stride} of {self.train_steps} timesteps reach "
                f"{stride * (self.length - 1)} only, where some signal is left; give timesteps, or a length that "
                f"divides {self.train_steps}",
                InputWarning,
                stacklevel=4,
            )

    def __repr__(self) -> str:
        facts: dict[str, Any] = {"num_models": self.num_models, "length": self.length}
        if self.grid is not None:
            facts["grid"] = f"({_number(self.grid[0])}, ..., {_number(self.grid[-1])})"
        if self.train_steps != TRAIN_STEPS:
            facts["train_steps"] = self.train_steps
        return f"{type(self).__name__}({', '.join(f'{key}={value}' for key, value in facts.items())})"

    @classmethod
    def make(
        cls, num_models: int, length: int, *, timesteps: Timesteps | None = None, train_steps: int = TRAIN_STEPS
    ) -> Self:
        if isinstance(timesteps, str):
            timesteps = grid_timesteps(timesteps, length, train_steps)
        grid = None if timesteps is None else tuple(timesteps)
        return cls(num_models, length, grid, train_steps)

    def table(self) -> dict[str, Any]:
        table = super().table()
        if self.grid is not None:
            table["timesteps"] = [_number(timestep) for timestep in self.grid]
        if self.train_steps != TRAIN_STEPS:
            table["train_steps"] = self.train_steps
        return table

    @property
    def timesteps(self) -> NDArray[Any]:
        """``(L,)``: the model-input timestep of each slot, rising; whole numbers on the usual grid."""
        if self.grid is None:
            return np.arange(self.length) * (self.train_steps // self.length)
        return np.array(self.grid[::-1])

    @property
    def room(self) -> float:
        """Timesteps between two slots, on the average of a grid of one's own."""
        if self.grid is None or self.length == 1:
            return self.train_steps // self.length
        return (self.grid[0] - self.grid[-1]) / (self.length - 1)

    def batch_plan(self, X: Schedules, noise: Noise, options: SolverOptions = USUAL) -> BatchPlan:
        self.check_options(options)
        return SlotBatch(X, self, noise, options)

    def solver_noise(self, noise: Noise) -> Noise:
        noise.time(self.timesteps)  # refuses slots outside the schedule
        return noise

    def levels(self, noise: Noise, t_end: float | None = None) -> Levels:
        """What the noise schedule says at the slots, and at ``t_end`` where sampling does not end in the image.

        Raises:
            InputError: the end is noisier than a slot.
        """
        return _levels(self, noise, t_end)

    # -- the space -------------------------------------------------------------------

    @property
    def cardinality(self) -> int:
        return (self.num_models + 1) ** self.length - 1

    def _well_formed(self, X: Schedules) -> NDArray[np.bool_]:
        return np.ones(len(X), dtype=bool)

    def _mend(self, X: Schedules) -> Schedules:
        return X

    def canonical(self, X: ArrayLike) -> Schedules:
        """No two of these schedules sample the same images: ``X`` itself."""
        return self.as_batch(X)

    def enumerate(self) -> Schedules:
        self._check_enumerable()
        ranks = np.arange(1, self.cardinality + 1)
        powers = (self.num_models + 1) ** np.arange(self.length)[::-1]
        return ranks[:, None] // powers % (self.num_models + 1)

    # -- questions of strategies and designs -----------------------------------------

    def _even_slots(self, steps: int, order: int, placing: str) -> NDArray[np.int64]:
        k = np.arange(steps)
        if placing == "leading":
            return k * self.length // steps
        if placing == "linspace" and steps > 1:
            return np.rint(np.linspace(0, self.length - 1, steps)).astype(np.int64)
        return (k + 1) * self.length // steps - 1

    def branch(self, trunks: Schedules, fresh: Schedules, rng: np.random.Generator) -> Schedules:
        cuts = rng.integers(2, max(3, self.length - 2), size=len(trunks))
        redraw = np.arange(self.length)[None, :] < cuts[:, None]
        return self.repair(np.where(redraw, fresh, trunks), rng)


class Levels(NamedTuple):
    """The noise schedule at the slots and, last of each, where sampling ends; lists of ``L + 1`` floats."""

    alpha: list[float]
    sigma: list[float]
    lam: list[float]


@lru_cache(maxsize=64)
def _levels(space: SlotSpace, noise: Noise, t_end: float | None) -> Levels:
    # Taken for all slots at once, so that plans with equal beginnings have equal weights to the last bit.
    t = noise.time(space.timesteps)
    alpha, sigma, lam = end_level(noise, t_end)
    if t_end is not None and t[0] < t_end and not math.isclose(t[0], t_end):
        raise InputError(f"t_end={t_end:g} is noisier than the slot at timestep {_number(float(space.timesteps[0]))}: "
                         f"give {t[0]:g} or less")  # fmt: skip
    return Levels([*noise.alpha(t).tolist(), alpha], [*noise.sigma(t).tolist(), sigma], [*noise.lam(t).tolist(), lam])


def active_slots(schedule: Schedule) -> list[int]:
    """The slots that name a member, in the order of sampling."""
    return [slot for slot in range(len(schedule) - 1, -1, -1) if schedule[slot]]


def _checked_grid(grid: Sequence[float], length: int) -> tuple[float, ...]:
    try:
        timesteps = tuple(float(timestep) for timestep in grid)
    except (TypeError, ValueError) as error:
        raise InputError(f"timesteps {grid!r}: expected numbers, one a slot, falling") from error
    if len(timesteps) != length:
        raise InputError(f"{len(timesteps)} timesteps for {length} slots: give one a slot")
    for before, after in pairwise(timesteps):
        if not after < before:
            raise InputError(
                f"timesteps fall from the noise to the image, but {_number(after)} follows {_number(before)}: "
                "list them in the order of sampling"
            )
    if not all(math.isfinite(timestep) and timestep >= 0 for timestep in timesteps):
        raise InputError(f"timesteps from {_number(timesteps[0])} to {_number(timesteps[-1])}: expected 0 or more")
    return timesteps


def _number(value: float) -> int | float:
    """Whole numbers without a point."""
    return int(value) if math.isfinite(value) and value == int(value) else value
