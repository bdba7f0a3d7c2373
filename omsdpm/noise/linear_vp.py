"""Continuous linear schedule of variance-preserving diffusion (Song et al., arXiv:2011.13456)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from omsdpm.errors import InputError
from omsdpm.noise.base import Array, check_steps, within
from omsdpm.noise.vp import VP


@dataclass(frozen=True)
class LinearVP(VP):
    """``beta(t) = beta_0 + t (beta_1 - beta_0)``.

    Networks were trained on ``steps`` discrete timesteps, of which number ``n`` is
    time ``(n + 1) / steps``; so time ``t`` is model input ``steps * max(t - 1/steps, 0)``
    (DPM-Solver, Lu et al., 2022, Sec. 3.4).

    Args:
        beta_0, beta_1: at the image and at the noise.
        steps: training timesteps.
    """

    kind: ClassVar[str] = "linear-vp"
    beta_0: float = 0.1
    beta_1: float = 20.0
    steps: int = 1000

    def __post_init__(self) -> None:
        if not 0 < self.beta_0 < self.beta_1 < math.inf:
            raise InputError(f"beta_0={self.beta_0}, beta_1={self.beta_1}: expected 0 < beta_0 < beta_1")
        check_steps(self.steps)

    def log_alpha(self, t: ArrayLike) -> Array:
        t = np.asarray(t, dtype=float)
        return -0.25 * t**2 * (self.beta_1 - self.beta_0) - 0.5 * t * self.beta_0

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
        return (within(timestep, 0, self.steps - 1) + 1.0) / self.steps
