"""Steps of the smallest largest error, in the style of LeMiCa (arXiv:2511.00090)."""

from __future__ import annotations

from typing import Any, ClassVar

from benchmarks.strategies.jumps import JumpStrategy


class LemicaStrategy(JumpStrategy):
    """Every member alone in the steps whose largest measured jump error is least; ties by the next largest."""

    name: ClassVar[str] = "lemica"

    def join(self, cost: Any, error: float) -> tuple[float, ...]:
        return tuple(sorted((*(cost or ()), error), reverse=True))
