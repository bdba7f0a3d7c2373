"""Boosted trees on structural features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from omsdpm.noise import Noise
from omsdpm.spaces import ScheduleSpace
from predictors._base import Array, Predictor, Schedules
from predictors._features import structural_features

PATIENCE = 50
"""Trees without progress on validation schedules before training stops."""


class GBDTPredictor(Predictor):
    """Boosted trees (xgboost) on features of where the active steps lie and who takes them.

    Fits in a second and needs few labels; regression on standardized (log) scores.

    Args:
        space, noise, latency, random_state: see :class:`predictors.Predictor`.
        trees: number of trees; fewer if validation schedules stop training early.
        depth: of a tree.
        learning_rate: weight of a tree.
        subsample: fraction of the schedules that a tree sees.
        features: fraction of the features that a tree sees.
        threads: of xgboost.
    """

    def __init__(
        self,
        space: ScheduleSpace | None = None,
        noise: Noise | None = None,
        latency: Sequence[float] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        trees: int = 600,
        depth: int = 4,
        learning_rate: float = 0.05,
        subsample: float = 0.7,
        features: float = 0.4,
        threads: int = 2,
    ) -> None:
        super().__init__(space, noise, latency, random_state)
        self.trees = trees
        self.depth = depth
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.features = features
        self.threads = threads

    def _learn(self, X: Schedules, z: Array, validation: tuple[Schedules, Array] | None) -> None:
        parameters = {
            "objective": "reg:squarederror",
            "base_score": 0.0,  # scores are centered; else xgboost estimates it
            "max_depth": self.depth,
            "eta": self.learning_rate,
            "subsample": self.subsample,
            "colsample_bytree": self.features,
            "min_child_weight": 2,
            "tree_method": "hist",
            "seed": self._seed(),
            "nthread": self.threads,
        }
        watched = [] if validation is None else [(self._matrix(*validation), "validation")]
        self.booster_ = xgboost.train(
            parameters,
            self._matrix(X, z),
            num_boost_round=self.trees,
            evals=watched,
            early_stopping_rounds=PATIENCE if watched else None,
            verbose_eval=False,
        )
        if validation is not None:
            self.booster_ = self.booster_[: self.booster_.best_iteration + 1]

    def _score(self, X: Schedules) -> Array:
        return self.booster_.predict(self._matrix(X)).astype(float)

    def _matrix(self, X: Schedules, z: Array | None = None) -> xgboost.DMatrix:
        features, names = structural_features(X, self._space, self._noise, self.latency)
        return xgboost.DMatrix(features, label=z, feature_names=names, nthread=self.threads)

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        return {}, {"booster": np.frombuffer(self.booster_.save_raw("ubj"), dtype=np.uint8)}  # binary JSON

    def _restore(self, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        self.booster_ = xgboost.Booster({"nthread": self.threads})
        try:
            self.booster_.load_model(bytearray(arrays["booster"].tobytes()))
        except xgboost.core.XGBoostError as error:
            raise ValueError(str(error).splitlines()[0]) from error
