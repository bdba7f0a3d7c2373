"""What solvers, networks and predictors ask of a noise schedule.

Notation of the field: ``x_t = alpha(t) x_0 + sigma(t) eps`` and ``lambda = log(alpha / sigma)``,
half the log signal-to-noise ratio. Continuous time runs from 0 (image) to 1 (noise);
networks take the *timestep* as their input. Everything here is float64 NumPy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


class Noise(ABC):
    """A noise schedule; every method of times maps arrays to their own shape.

    Subclasses are frozen dataclasses: equal schedules are equal and have equal hashes, so that
    what follows from one is found again.
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

    def continuous(self) -> Noise:
        """The continuous schedule that this one discretizes, where that is known; else itself."""
        return self

    def table(self) -> dict[str, Any]:
        """What :meth:`from_table` needs to make it again, as TOML and JSON take it; ``kind`` is in it."""
        raise NotImplementedError

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """The schedule that :meth:`table` described.

        Raises:
            InputError: a key that is unknown or lacking, or a value that is none.
        """
        raise NotImplementedError
