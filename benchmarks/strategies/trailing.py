"""Steps counted back from the noise end, diffusers' ``timestep_spacing="trailing"`` (arXiv:2305.08891)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.strategies.base import Problem
from benchmarks.strategies.grids import GridStrategy


class TrailingStrategy(GridStrategy):
    """Every member alone at even timesteps that end in the last one, noise."""

    name: ClassVar[str] = "trailing"

    def grid(self, problem: Problem, steps: int) -> NDArray[np.float64]:
        train = problem.known_noise.steps
        return np.round(train - np.arange(steps) * train / steps) - 1.0
