"""Betas along a sigmoid, as diffusers' ``beta_schedule="sigmoid"`` has them."""

from dataclasses import dataclass

import numpy as np

from omsdpm.noise.beta_schedule import BetaSchedule, check_betas


@dataclass(frozen=True, eq=False, kw_only=True)
class SigmoidBetas(BetaSchedule):
    """Betas that rise along a sigmoid from ``beta_start`` to ``beta_end``."""

    kind = "sigmoid"
    beta_start: float = 1e-4
    beta_end: float = 0.02

    def formula(self):
        check_betas(beta_start=self.beta_start, beta_end=self.beta_end)
        return self.beta_start + (self.beta_end - self.beta_start) / (1 + np.exp(-np.linspace(-6, 6, self.steps)))
