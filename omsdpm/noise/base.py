"""What solvers, networks and predictors ask of a noise schedule.

Notation of the field: ``x_t = alpha(t) x_0 + sigma(t) eps`` and ``lambda = log(alpha / sigma)``,
half the log signal-to-noise ratio. Continuous time runs from 0 (image) to 1 (noise);
networks take the *timestep* as their input. Everything here is float64 NumPy.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError

Array = NDArray[np.float64]

MOST_STEPS = 1_000_000
ROUNDING = 1e-9
"""Of all timesteps: how far past the last one a float may fall that is meant to be it."""


class Noise(ABC):
    """A noise schedule; every method of times maps arrays to their own shape.

    Subclasses are frozen dataclasses whose fields are the keys of their table: equal schedules are
    equal and have equal hashes, so that what follows from one is found again.
    """

    kind: ClassVar[str]
    """Its name in files, in the entry-point group ``omsdpm.noise``."""

    steps: int
    """Timesteps ``N`` that networks were trained on."""

    @abstractmethod
    def alpha(self, t: ArrayLike) -> Array:
        """``alpha`` at continuous times, the weight of the image."""

    @abstractmethod
    def sigma(self, t: ArrayLike) -> Array:
        """``sigma`` at continuous times, the weight of the noise."""

    @abstractmethod
    def inverse_lambda(self, lam: ArrayLike) -> Array:
        """The continuous time ``t`` whose ``lambda(t)`` is ``lam``."""

    @abstractmethod
    def timestep(self, t: ArrayLike) -> Array:
        """The model input of continuous time ``t``."""

    @abstractmethod
    def time(self, timestep: ArrayLike) -> Array:
        """The continuous time of a model input, from the first to the last that networks know, whole or not.

        Raises:
            InputError: a timestep outside of these.
        """

    def lam(self, t: ArrayLike) -> Array:
        """``lambda = log(alpha / sigma)`` at continuous times; infinite where there is only image or only noise."""
        with np.errstate(divide="ignore"):
            return np.log(self.alpha(t)) - np.log(self.sigma(t))

    @property
    def t_start(self) -> float:
        """The noisiest time whose ``lambda`` is finite, where solvers in ``lambda`` start."""
        return 1.0

    def slots(self, length: int) -> tuple[float, ...] | None:
        """Timesteps of ``length`` slots in the order of sampling, falling, where the usual grid will not do."""
        return None

    def continuous(self) -> Noise:
        """The continuous schedule that this one discretizes, where that is known; else itself."""
        return self

    def table(self) -> dict[str, Any]:
        """What :meth:`from_table` needs to make it again, as TOML and JSON take it; ``kind`` is in it.

        What is switched off unless somebody switches it on (``False``, ``None``) is left out.
        """
        table: dict[str, Any] = {"kind": self.kind}
        for field in fields(self):  # type: ignore[arg-type]  # subclasses are dataclasses
            value = getattr(self, field.name)
            if field.init and not (value is field.default and value in (False, None)):
                table[field.name] = np.asarray(value).tolist()
        return table

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """The schedule that :meth:`table` described; its keys are the arguments of the class.

        Raises:
            InputError: a key that is unknown or lacking, or a value that is none.
        """
        from omsdpm.noise.registry import from_keys

        return from_keys(cls, cls.kind, table)


def within(timestep: ArrayLike, first: float, last: float) -> Array:
    """The timesteps as an array, all of which are from ``first`` to ``last``.

    Raises:
        InputError: one is not, or is no number.
    """
    values = np.asarray(timestep, dtype=float)
    slack = ROUNDING * (last + 1)
    inside = (values >= first - slack) & (values <= last + slack)
    if not inside.all():
        outside = float(values[~inside][0])
        raise InputError(f"timestep {outside:g} is outside {first:g}..{last:g}, the timesteps that networks know")
    return values


def check_steps(steps: int) -> None:
    """Raises :class:`InputError` unless ``steps`` is a number of training timesteps."""
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or not 1 <= steps <= MOST_STEPS:
        raise InputError(f"steps = {steps!r}: expected a whole number from 1 to {MOST_STEPS}")


def check_positive(**numbers: float) -> None:
    """Raises :class:`InputError` for a number that is not positive and finite; keys are their names."""
    for name, number in numbers.items():
        if not 0 < number < math.inf:
            raise InputError(f"{name} = {number!r}: expected a positive number")
