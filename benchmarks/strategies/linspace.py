"""Even steps with both ends, diffusers' ``timestep_spacing="linspace"``."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.strategies.base import Problem
from benchmarks.strategies.grids import GridStrategy


class LinspaceStrategy(GridStrategy):
    """Every member alone at even timesteps from the last one to the first; one step is at the noise end."""

    name: ClassVar[str] = "linspace"

    def grid(self, problem: Problem, steps: int) -> NDArray[np.float64]:
        return np.linspace(problem.known_noise.steps - 1, 0, steps)
