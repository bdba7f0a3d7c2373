"""Align Your Steps (Sabour et al., arXiv:2404.14507): published grids of ten steps, interpolated."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.strategies.base import Problem
from benchmarks.strategies.grids import GridStrategy, timesteps_at
from omsdpm.errors import unknown_name

PUBLISHED = {
    "sd": (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152),
    "sdxl": (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113),
    "svd": (700.00, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034),
}
"""Noise levels ``sigma / alpha`` of ten steps, without the closing 0: Stable Diffusion 1.5, XL and Video."""


class AYSStrategy(GridStrategy):
    """Every member alone at the noise levels that were optimized for Stable Diffusion, interpolated.

    Their logarithm is interpolated linearly, as the authors say. They were optimized for other
    networks than yours; levels beyond the noise schedule's ends are the ends'.

    Args:
        model: ``sd``, ``sdxl`` or ``svd``: for which network.
    """

    name: ClassVar[str] = "ays"
    raced: ClassVar[bool] = True

    def __init__(self, *, model: str = "sd") -> None:
        if model not in PUBLISHED:
            raise unknown_name("grid of ays", str(model), list(PUBLISHED))
        self.model = model

    def grid(self, problem: Problem, steps: int) -> NDArray[np.float64]:
        lam = -np.log(PUBLISHED[self.model])  # (10,)
        at = np.linspace(0.0, 1.0, steps)
        return timesteps_at(problem, np.interp(at, np.linspace(0.0, 1.0, len(lam)), lam))
