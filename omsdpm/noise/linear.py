"""Betas in equal steps: DDPM's own (Ho et al., arXiv:2006.11239)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from omsdpm.noise.base import Array
from omsdpm.noise.beta_schedule import BetaSchedule, check_betas


@dataclass(frozen=True, eq=False, kw_only=True)
class LinearBetas(BetaSchedule):
    """From ``beta_start`` at the image to ``beta_end`` at the noise; not to be confused with their limit, LinearVP.

    Args:
        beta_start, beta_end: at the image and at the noise.
    """

    kind: ClassVar[str] = "linear"
    beta_start: float = 1e-4
    beta_end: float = 0.02

    def formula(self) -> Array:
        check_betas(beta_start=self.beta_start, beta_end=self.beta_end)
        return np.linspace(self.beta_start, self.beta_end, self.steps)
