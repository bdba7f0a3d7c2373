"""The benchmark's own measurement where a predictor is expected: what a perfect predictor would find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from benchmarks.problem import Benchmark

ORACLE = "oracle"
"""The name under which a search asks for it; no predictor may be registered so."""


class Oracle:
    """Scores schedules by measuring them, and learns nothing.

    What the benchmark's dataset holds is looked up, which on a tabular benchmark is every
    schedule and exact. The rest is sampled as the dataset was, from its noise and with as many
    images, once each: on a sampling benchmark an evaluation costs what a label costs.

    Attributes:
        labels: schedules that were sampled, not looked up.
    """

    name: ClassVar[str] = ORACLE
    has_std: ClassVar[bool] = False

    def __init__(self, benchmark: Benchmark, device: str = "cpu") -> None:
        self.benchmark = benchmark
        self.device = device
        self.space = benchmark.space
        self.labels = 0
        self._sampled: dict[bytes, float] = {}

    def fit(self, X: ArrayLike, y: ArrayLike, X_validation: Any = None, y_validation: Any = None) -> Self:
        """Nothing to learn."""
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """``(n, L) -> (n,)``: measured scores.

        Raises:
            InputError: an invalid schedule.
        """
        batch = self.space.canonical(self.space.check(np.asarray(X)))
        scores = self.benchmark.stored_scores(batch)
        keys = [row.tobytes() for row in batch]
        unknown = np.flatnonzero(np.isnan(scores))
        new = {keys[i]: i for i in unknown if keys[i] not in self._sampled}
        if new:
            rows = list(new.values())
            measured = self.benchmark.evaluate(batch[rows], device=self.device)
            self._sampled.update(zip(new, measured.tolist(), strict=True))
            self.labels += len(rows)
        for i in unknown:
            scores[i] = self._sampled[keys[i]]
        return scores
