"""Noise schedules of variance-preserving diffusion.

Notation of the field: ``x_t = alpha(t) x_0 + sigma(t) eps`` with ``alpha^2 + sigma^2 = 1``,
``alpha_bar = alpha^2`` and ``lambda = log(alpha / sigma)``, half the log signal-to-noise
ratio. Continuous time runs from 0 (image) to 1 (noise); networks take the *timestep*,
``0..999``, as their input. Everything here is float64 NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError
from omsdpm.noise.base import Array, Noise


def sigma_of(log_alpha: ArrayLike) -> Array:
    """``sigma = sqrt(1 - alpha^2)`` from ``log alpha``, without cancellation near the image."""
    return np.sqrt(-np.expm1(2.0 * np.asarray(log_alpha, dtype=float)))


def lambda_of(log_alpha: ArrayLike) -> Array:
    """``lambda = log(alpha / sigma)`` from ``log alpha``."""
    log_alpha = np.asarray(log_alpha, dtype=float)
    return log_alpha - 0.5 * np.log(-np.expm1(2.0 * log_alpha))


@dataclass(frozen=True)
class LinearVP(Noise):
    """Continuous linear schedule, ``beta(t) = beta_0 + t (beta_1 - beta_0)`` (Song et al., 2021).

    Networks were trained on ``steps`` discrete timesteps, of which number ``n`` is
    time ``(n + 1) / steps``; so time ``t`` is model input ``steps * max(t - 1/steps, 0)``
    (DPM-Solver, Lu et al., 2022, Sec. 3.4).
    """

    kind: ClassVar[str] = "linear-vp"
    beta_0: float = 0.1
    beta_1: float = 20.0
    steps: int = 1000

    def __post_init__(self) -> None:
        if not 0 < self.beta_0 < self.beta_1:
            raise InputError(f"beta_0={self.beta_0}, beta_1={self.beta_1}: expected 0 < beta_0 < beta_1")

    def log_alpha(self, t: ArrayLike) -> Array:
        t = np.asarray(t, dtype=float)
        return -0.25 * t**2 * (self.beta_1 - self.beta_0) - 0.5 * t * self.beta_0

    def alpha(self, t: ArrayLike) -> Array:
        return np.exp(self.log_alpha(t))

    def sigma(self, t: ArrayLike) -> Array:
        return sigma_of(self.log_alpha(t))

    def lam(self, t: ArrayLike) -> Array:
        return lambda_of(self.log_alpha(t))

    def inverse_lambda(self, lam: ArrayLike) -> Array:
        # -2 log_alpha = log(1 + exp(-2 lambda)) is a quadratic in t; this form of its
        # root does not cancel for small t.
        minus_2_log_alpha = np.logaddexp(-2.0 * np.asarray(lam, dtype=float), 0.0)
        slope = self.beta_1 - self.beta_0
        root = np.sqrt(self.beta_0**2 + 2.0 * slope * minus_2_log_alpha)
        return 2.0 * minus_2_log_alpha / (root + self.beta_0)

    def timestep(self, t: ArrayLike) -> Array:
        return self.steps * np.maximum(np.asarray(t, dtype=float) - 1.0 / self.steps, 0.0)

    def time(self, timestep: ArrayLike) -> Array:
        return (np.asarray(timestep, dtype=float) + 1.0) / self.steps

    def alpha_bar(self, timestep: ArrayLike) -> Array:
        return np.exp(2.0 * self.log_alpha((np.asarray(timestep, dtype=float) + 1.0) / self.steps))


@dataclass(frozen=True, eq=False)
class DiscreteVP(Noise):
    """A schedule given by its betas, one a training timestep (DDPM, Ho et al., 2020).

    Timestep ``n`` is time ``(n + 1) / N``; between timesteps, and from the image to the
    first of them, ``log alpha`` is interpolated linearly, which is what lets DPM-Solvers
    run on it (Lu et al., 2022, App. D).

    Args:
        betas: ``(N,)`` numbers in (0, 1).
    """

    kind: ClassVar[str] = "betas"
    betas: Sequence[float] | NDArray[np.float64]

    def __post_init__(self) -> None:
        betas = np.array(self.betas, dtype=float)
        if betas.ndim != 1 or not len(betas) or not ((betas > 0) & (betas < 1)).all():
            raise InputError(f"betas of shape {betas.shape}: expected a list of numbers between 0 and 1")
        betas.setflags(write=False)
        object.__setattr__(self, "betas", betas)

    @classmethod
    def linear(cls, start: float = 1e-4, end: float = 0.02, steps: int = 1000) -> DiscreteVP:
        """Betas in equal steps from ``start`` to ``end``, DDPM's own choice."""
        return cls(np.linspace(start, end, steps))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DiscreteVP) and np.array_equal(self.betas, other.betas)

    def __hash__(self) -> int:
        return hash(np.asarray(self.betas).tobytes())

    @cached_property
    def _log_alphas(self) -> Array:
        """At the image, where it is 0, and at each timestep: ``(N + 1,)``."""
        return np.concatenate([[0.0], 0.5 * np.log1p(-np.asarray(self.betas)).cumsum()])

    @property
    def _times(self) -> Array:
        return np.linspace(0.0, 1.0, len(self._log_alphas))

    def log_alpha(self, t: ArrayLike) -> Array:
        return np.interp(np.asarray(t, dtype=float), self._times, self._log_alphas)

    def alpha(self, t: ArrayLike) -> Array:
        return np.exp(self.log_alpha(t))

    def sigma(self, t: ArrayLike) -> Array:
        return sigma_of(self.log_alpha(t))

    def lam(self, t: ArrayLike) -> Array:
        return lambda_of(self.log_alpha(t))

    def inverse_lambda(self, lam: ArrayLike) -> Array:
        # log_alpha falls with t, and interpolation wants rising abscissas.
        log_alpha = -0.5 * np.logaddexp(-2.0 * np.asarray(lam, dtype=float), 0.0)
        return np.interp(log_alpha, self._log_alphas[::-1], self._times[::-1])

    def timestep(self, t: ArrayLike) -> Array:
        return np.maximum(np.asarray(t, dtype=float) * len(self.betas) - 1.0, 0.0)

    def time(self, timestep: ArrayLike) -> Array:
        index = np.asarray(timestep, dtype=float)
        last = len(self.betas) - 1
        if (index < 0).any() or (index > last).any():
            raise InputError(f"timestep outside 0..{last}, the timesteps of these {last + 1} betas")
        return (index + 1.0) / len(self.betas)

    def alpha_bar(self, timestep: ArrayLike) -> Array:
        """``alpha_bar = alpha^2`` of model-input timesteps from 0 to ``N - 1``, between whole ones too."""
        return np.exp(2.0 * self.log_alpha(self.time(timestep)))

    @property
    def steps(self) -> int:  # type: ignore[override]
        """Timesteps that networks were trained on, one a beta."""
        return len(self.betas)

    def table(self) -> dict[str, Any]:
        betas = np.asarray(self.betas)
        return {"kind": "linear", "beta_start": float(betas[0]), "beta_end": float(betas[-1]), "steps": len(betas)}

    def continuous(self) -> Noise:
        """:class:`LinearVP` for betas in equal steps, which discretize it; else the betas themselves."""
        betas = np.asarray(self.betas)
        if (
            len(betas) > 1
            and betas[-1] > betas[0]
            and np.allclose(betas, np.linspace(betas[0], betas[-1], len(betas)), rtol=1e-9, atol=0)
        ):
            return LinearVP(float(betas[0]) * len(betas), float(betas[-1]) * len(betas), len(betas))
        return self
