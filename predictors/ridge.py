"""Bayesian linear regression on structural features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import BayesianRidge

from omsdpm.noise import Noise
from omsdpm.solvers import ScheduleSpace, SolverOptions
from omsdpm.tables import read_table
from predictors.base import Array, Predictor, Schedules
from predictors.features import structural_features
from predictors.folder import expect
from predictors.learned import LineLearned

ABSENT = 0.5
"""Where a member that takes no step is said to be: in the middle of the axis."""

CLIP = 4.0
"""Standardized features are clipped here; a line, and a square more so, must not run away beyond the data."""

SQUARE = 0.3
"""Weight of squares beside the features themselves; all share one prior, which shrinks what is small more."""

LEAST_STD = 1e-3
"""Of a prediction, on the standardized scale; constant targets would give none."""


class RidgePredictor(Predictor):
    """Bayesian ridge regression (scikit-learn) on structural features and their squares; the floor to beat.

    Fits in a fraction of a second. The strengths of noise and shrinkage maximize the
    marginal likelihood, so there is nothing to tune, and the standard deviation is the
    posterior's. Features are those of ``gbdt``, standardized on the training schedules.

    Far from its labels a line goes on, and a square faster: features are clipped at four standard deviations,
    and there the standard deviation of the prediction is several times that within.

    Args:
        space, noise, latency, random_state, options: see :class:`predictors.Predictor`; nothing is random.
        squares: whether the square of each standardized feature is a feature too.
    """

    has_std: ClassVar[bool] = True

    def __init__(
        self,
        space: ScheduleSpace | None = None,
        noise: Noise | None = None,
        latency: Sequence[float] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        squares: bool = True,
        options: SolverOptions | None = None,
    ) -> None:
        super().__init__(space, noise, latency, random_state, options)
        self.squares = squares

    def _learn(self, X: Schedules, z: Array, validation: tuple[Schedules, Array] | None) -> None:
        features = self._features(X)
        spread = features.std(axis=0)
        self.center_ = features.mean(axis=0)
        # A feature that never varied says nothing; an infinite scale makes it zero ever after.
        self.scale_ = np.where(spread > 1e-9, spread, np.inf)
        model = BayesianRidge().fit(self._design(X), z)
        self.coef_, self.intercept_ = model.coef_, float(model.intercept_)
        self.covariance_, self.noise_variance_ = model.sigma_, float(1 / model.alpha_)

    def _score(self, X: Schedules) -> Array:
        return self._design(X) @ self.coef_ + self.intercept_

    def _score_std(self, X: Schedules) -> Array:
        design = self._design(X)
        explained = np.einsum("nf,fg,ng->n", design, self.covariance_, design, optimize=True)
        return np.sqrt(np.maximum(explained + self.noise_variance_, LEAST_STD**2))

    def _features(self, X: Schedules) -> Array:
        """``(n, F)``, finite."""
        features, _ = structural_features(self._batch_plan(X), self.latency)
        return np.where(np.isfinite(features), features, ABSENT)

    def _design(self, X: Schedules) -> Array:
        """``(n, F)``, or ``(n, 2 F)`` with squares; standardized."""
        standard = np.clip((self._features(X) - self.center_) / self.scale_, -CLIP, CLIP)
        return np.hstack([standard, SQUARE * (standard**2 - 1)]) if self.squares else standard

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        values = {"intercept": self.intercept_, "noise variance": self.noise_variance_}
        arrays = {"center": self.center_, "scale": self.scale_, "coef": self.coef_, "covariance": self.covariance_}
        return values, arrays

    def _restore(self, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        learned = read_table(LineLearned, values, "learned")
        self.intercept_, self.noise_variance_ = learned.intercept, learned.noise_variance
        features, _ = structural_features(
            self._batch_plan(self._space.canonical(np.ones((1, self._space.length), np.int64))), self.latency
        )
        count = features.shape[1]
        wide = 2 * count if self.squares else count
        shapes = {"center": (count,), "scale": (count,), "coef": (wide,), "covariance": (wide, wide)}
        expect(arrays, {name: (np.float64, shape) for name, shape in shapes.items()}, infinite=frozenset(("scale",)))
        if (arrays["scale"] <= 0).any():
            raise ValueError("scale holds what is no positive number")
        self.center_, self.scale_ = arrays["center"], arrays["scale"]
        self.coef_, self.covariance_ = arrays["coef"], arrays["covariance"]
