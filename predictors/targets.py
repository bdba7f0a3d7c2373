"""The scale on which predictors learn scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

Array = NDArray[np.float64]

LARGEST_LOG = 700.0
"""Just below the logarithm of the largest float, so that no prediction overflows."""


@dataclass(frozen=True)
class TargetScale:
    """Standardized scores, or standardized log scores.

    Fréchet distances of random schedules spread over decades, and what matters are ratios
    among the good ones; so scores that are all positive are learned as logarithms.
    """

    center: float
    spread: Annotated[float, Field(gt=0)]
    log: bool

    @classmethod
    def of(cls, y: Array) -> TargetScale:
        """The scale of training scores ``(n,)``; a constant gets the spread 1."""
        log = bool((y > 0).all())
        values = np.log(y) if log else y
        spread = float(values.std())
        tiny = 1e-12 * max(1.0, float(np.abs(values).max()))
        return cls(float(values.mean()), spread if spread > tiny else 1.0, log)

    @classmethod
    def identity(cls) -> TargetScale:
        """Scores as they are."""
        return cls(0.0, 1.0, False)

    def forward(self, y: Array) -> Array:
        """Scores to the learned scale; with ``log``, those that are not positive go to its far low end."""
        values = np.log(np.maximum(y, np.finfo(float).tiny)) if self.log else y
        return (values - self.center) / self.spread

    def inverse(self, z: Array) -> Array:
        """The learned scale to scores; monotone."""
        values = self.center + self.spread * z
        return np.exp(np.clip(values, -LARGEST_LOG, LARGEST_LOG)) if self.log else values

    def inverse_std(self, z: Array, std: Array) -> Array:
        """Standard deviation of the score whose learned-scale value is normal ``(z, std)``."""
        s = self.spread * std
        if not self.log:
            return s
        # The log-normal law, with exponents held where floats are.
        s = np.minimum(s, np.sqrt(LARGEST_LOG) / 2)
        return self.inverse(z + 0.5 * s**2 / self.spread) * np.sqrt(np.expm1(s**2))


def standardized(z: Array) -> bool:
    """Whether ``(n,)`` may be scores on their own standardized scale: then none is beyond ``sqrt(n)``."""
    return bool(np.isfinite(z).all() and (np.abs(z) <= np.sqrt(len(z)) * (1 + 1e-9)).all())
