"""A search that is not fooled by what a predictor does not know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from studies.problem import Scorer

KAPPA = 1.0
"""Standard deviations that a search adds to predictions where nobody says it."""


@dataclass(frozen=True)
class Pessimist:
    """Scores schedules by the mean plus ``kappa`` standard deviations of a predictor that knows them.

    One that does not is taken at its word; like all predictors of this package it says nothing
    good of schedules that look like none of its labels (:mod:`predictors.coverage`).

    Attributes:
        predictor: fitted.
        kappa: standard deviations, on the scale that the predictor learned (of logarithms, for positive scores).
    """

    predictor: Scorer
    kappa: float = KAPPA

    @property
    def unsure(self) -> bool:
        """Whether the predictor knows its uncertainty, and it counts."""
        return self.kappa != 0 and bool(getattr(self.predictor, "has_std", False))

    def predict(self, X: NDArray[np.int64]) -> NDArray[np.float64]:
        """``(n, L) -> (n,)``, lower is better."""
        bound = getattr(self.predictor, "predict_bound", None)
        scores: NDArray[np.float64] = self.predictor.predict(X) if bound is None else bound(X, self.kappa)
        return scores
