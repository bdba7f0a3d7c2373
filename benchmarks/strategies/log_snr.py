"""Even steps in ``lambda``, half the log signal-to-noise ratio (Lu et al., arXiv:2206.00927, Sec. 3.3).

Diffusers' ``use_lu_lambdas``.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.strategies.base import Problem
from benchmarks.strategies.grids import GridStrategy, lambda_ends, timesteps_at


class LogSNRStrategy(GridStrategy):
    """Every member alone at even steps of the logarithm of the signal-to-noise ratio."""

    name: ClassVar[str] = "logSNR"

    def grid(self, problem: Problem, steps: int) -> NDArray[np.float64]:
        highest, lowest = lambda_ends(problem)
        return timesteps_at(problem, np.linspace(lowest, highest, steps))
