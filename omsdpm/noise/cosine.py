"""Betas of a squared cosine ``alpha_bar`` (Nichol & Dhariwal, arXiv:2102.09672), ``squaredcos_cap_v2`` elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from omsdpm.noise.base import Array
from omsdpm.noise.beta_schedule import BetaSchedule, check_betas


@dataclass(frozen=True, eq=False, kw_only=True)
class CosineBetas(BetaSchedule):
    """``alpha_bar(t) = cos^2((t + 0.008) / 1.008 pi / 2)`` up to a factor; no beta is above ``max_beta``.

    Args:
        max_beta: the largest beta.
    """

    kind: ClassVar[str] = "cosine"
    max_beta: float = 0.999

    def formula(self) -> Array:
        check_betas(max_beta=self.max_beta)
        alpha_bar = [math.cos((n / self.steps + 0.008) / 1.008 * math.pi / 2) ** 2 for n in range(self.steps + 1)]
        return np.minimum(1.0 - np.divide(alpha_bar[1:], alpha_bar[:-1]), self.max_beta)
