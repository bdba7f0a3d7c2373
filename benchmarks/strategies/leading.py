"""Steps counted from the image end, diffusers' ``timestep_spacing="leading"``, the first of DDIM."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.strategies.base import Problem
from benchmarks.strategies.grids import GridStrategy


class LeadingStrategy(GridStrategy):
    """Every member alone at even timesteps that begin with the first one, image."""

    name: ClassVar[str] = "leading"

    def grid(self, problem: Problem, steps: int) -> NDArray[np.float64]:
        train = problem.known_noise.steps
        return np.arange(steps, dtype=np.float64)[::-1] * (train // steps)
