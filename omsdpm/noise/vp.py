"""Variance-preserving diffusion: ``alpha^2 + sigma^2 = 1``, so that ``log alpha`` says all (DDPM, Ho et al., 2020)."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import ArrayLike

from omsdpm.noise.base import Array, Noise


def sigma_of(log_alpha: ArrayLike) -> Array:
    """``sigma = sqrt(1 - alpha^2)`` from ``log alpha``, without cancellation near the image."""
    return np.sqrt(-np.expm1(2.0 * np.asarray(log_alpha, dtype=float)))


def lambda_of(log_alpha: ArrayLike) -> Array:
    """``lambda = log(alpha / sigma)`` from ``log alpha``; infinite at the image, where that is 0."""
    log_alpha = np.asarray(log_alpha, dtype=float)
    with np.errstate(divide="ignore"):
        return log_alpha - 0.5 * np.log(-np.expm1(2.0 * log_alpha))


def log_alpha_of(lam: ArrayLike) -> Array:
    """The inverse of :func:`lambda_of`, ``-log(1 + exp(-2 lambda)) / 2``."""
    return -0.5 * np.logaddexp(-2.0 * np.asarray(lam, dtype=float), 0.0)


class VP(Noise):
    """What follows from ``log_alpha``, which subclasses give."""

    @abstractmethod
    def log_alpha(self, t: ArrayLike) -> Array:
        """``log alpha`` at continuous times."""

    def alpha(self, t: ArrayLike) -> Array:
        return np.exp(self.log_alpha(t))

    def sigma(self, t: ArrayLike) -> Array:
        return sigma_of(self.log_alpha(t))

    def lam(self, t: ArrayLike) -> Array:
        return lambda_of(self.log_alpha(t))

    def alpha_bar(self, timestep: ArrayLike) -> Array:
        """``alpha_bar = alpha^2`` of model-input timesteps, between whole ones too.

        Raises:
            InputError: as :meth:`time`.
        """
        return np.exp(2.0 * self.log_alpha(self.time(timestep)))
