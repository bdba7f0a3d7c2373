"""Karras et al.'s noise levels (arXiv:2206.00364, Eq. 5), diffusers' ``use_karras_sigmas``."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.strategies.base import Problem
from benchmarks.strategies.grids import GridStrategy, lambda_ends, timesteps_at
from omsdpm.noise.base import check_positive


class KarrasStrategy(GridStrategy):
    """Every member alone at noise levels whose roots are even: more steps near the image.

    The level is ``sigma / alpha = exp(-lambda)``.

    Args:
        rho: which root.
    """

    name: ClassVar[str] = "karras"

    def __init__(self, *, rho: float = 7.0) -> None:
        check_positive(rho=rho)
        self.rho = rho

    def grid(self, problem: Problem, steps: int) -> NDArray[np.float64]:
        highest, lowest = lambda_ends(problem)
        roots = np.linspace(np.exp(-lowest / self.rho), np.exp(-highest / self.rho), steps)
        return timesteps_at(problem, -self.rho * np.log(roots))
