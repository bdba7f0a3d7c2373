"""Steps of least total error, in the style of Optimal Stepsize (arXiv:2503.21774) and GITS (ICML 2024)."""

from __future__ import annotations

from typing import Any, ClassVar

from benchmarks.strategies.jumps import JumpStrategy


class OptimalStepsStrategy(JumpStrategy):
    """Every member alone in the steps whose measured jump errors add up to the least."""

    name: ClassVar[str] = "optimal-steps"

    def join(self, cost: Any, error: float) -> float:
        return error if cost is None else cost + error
