"""Betas whose square roots are in equal steps: latent diffusion's (Rombach et al., arXiv:2112.10752)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from omsdpm.noise.base import Array
from omsdpm.noise.beta_schedule import BetaSchedule, check_betas


@dataclass(frozen=True, eq=False, kw_only=True)
class ScaledLinearBetas(BetaSchedule):
    """From ``beta_start`` to ``beta_end``; those of Stable Diffusion unless told otherwise.

    Args:
        beta_start, beta_end: at the image and at the noise.
    """

    kind: ClassVar[str] = "scaled-linear"
    beta_start: float = 0.00085
    beta_end: float = 0.012

    def formula(self) -> Array:
        check_betas(beta_start=self.beta_start, beta_end=self.beta_end)
        return np.linspace(self.beta_start**0.5, self.beta_end**0.5, self.steps) ** 2
