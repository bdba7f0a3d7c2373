"""Boosted trees on structural features."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import xgboost
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

from omsdpm.devices import usable_cpus
from omsdpm.errors import unknown_name
from omsdpm.noise import Noise
from omsdpm.solvers import ScheduleSpace, SolverOptions
from omsdpm.tables import read_table
from predictors.base import Array, Predictor, Schedules
from predictors.calibration import RisingCurve
from predictors.features import structural_features
from predictors.folder import expect
from predictors.learned import TreesLearned
from predictors.trees import Trees, trees_of
from predictors.ubjson import decode

PATIENCE = 50
"""Trees without progress on validation schedules before training stops."""

NEVER_BETTER = ("widest gap", "sum of squared gaps")
"""Features whose rise, all others held, never improves a score: steps less even on the lambda axis."""

OBJECTIVES = {
    "regression": {"objective": "reg:squarederror", "min_child_weight": 2},
    "ranking": {
        "objective": "rank:pairwise",
        "lambdarank_pair_method": "mean",
        "lambdarank_num_pair_per_sample": 8,
        "lambdarank_normalization": False,  # the group's size would shrink every step
        "lambdarank_score_normalization": False,  # so would a pair's distance
        "min_child_weight": 0.1,
        "disable_default_eval_metric": True,  # it looks at the wrong end of the order, and wants integers
    },
}
"""xgboost's parameters for each objective."""


class GBDTPredictor(Predictor):
    """Boosted trees (xgboost) on features of where the active steps lie and who takes them.

    Fits in a second and needs few labels. By default it regresses standardized (log)
    scores. Ranking by pairs orders the whole range worse: on training data of ``digits``
    Kendall's tau is about 0.02 lower with 200 labels. It was ahead among good schedules on
    one of two benchmarks, with 200 labels or fewer, and behind on the other.

    Constraints of monotonicity change tau by less than 0.01 and were never worse among
    good schedules; that a wider gap cannot help is an approximation, because a feature
    moves while the others stay, which steps on an axis cannot do.

    Far from its labels a tree gives what the nearest labels along its splits had: predictions are constant
    there, and never better or worse than some average of labels.

    Args:
        space, noise, latency, random_state, options: see :class:`predictors.Predictor`.
        trees: number of trees; fewer if validation schedules stop training early.
        depth: of a tree.
        learning_rate: weight of a tree.
        subsample: fraction of the schedules that a tree sees.
        features: fraction of the features that a tree sees.
        objective: ``"regression"`` on scores, or ``"ranking"`` of pairs, whose scores are then
            mapped to the scale of the measured ones by a rising curve.
        monotone: whether wider gaps are kept from improving a score.
        threads: of xgboost; ``None`` is ``OMP_NUM_THREADS``, or one a processor where it is not set.
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
        objective: Literal["regression", "ranking"] = "regression",
        monotone: bool = True,
        threads: int | None = None,
        options: SolverOptions | None = None,
    ) -> None:
        super().__init__(space, noise, latency, random_state, options)
        self.trees = trees
        self.depth = depth
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.features = features
        self.objective = objective
        self.monotone = monotone
        self.threads = threads

    def _learn(self, X: Schedules, z: Array, validation: tuple[Schedules, Array] | None) -> None:
        if self.objective not in OBJECTIVES:
            raise unknown_name("objective", self.objective, OBJECTIVES)
        parameters = OBJECTIVES[self.objective] | {
            "base_score": 0.0,  # scores are centered; else xgboost estimates it
            "max_depth": self.depth,
            "eta": self.learning_rate,
            "subsample": self.subsample,
            "colsample_bytree": self.features,
            "tree_method": "hist",
            "seed": self._seed(),
            "nthread": self._threads,
        }
        if self.monotone:
            parameters["monotone_constraints"] = dict.fromkeys(NEVER_BETTER, 1)
        watched = [] if validation is None else [(self._matrix(*validation), "validation")]
        self.booster_ = xgboost.train(
            parameters,
            self._matrix(X, z),
            num_boost_round=self.trees,
            evals=watched,
            custom_metric=_lost_tau if self.objective == "ranking" else None,
            early_stopping_rounds=PATIENCE if watched else None,
            verbose_eval=False,
        )
        if validation is not None:
            self.booster_ = self.booster_[: self.booster_.best_iteration + 1]
        self.curve_ = None
        if self.objective == "ranking":
            held_out, measured = validation or (X, z)
            self.curve_ = RisingCurve.fit(self._raw(held_out), measured)

    def _score(self, X: Schedules) -> Array:
        raw = self._raw(X)
        return raw if self.curve_ is None else self.curve_(raw)

    def _raw(self, X: Schedules) -> Array:
        """``(n, L) -> (n,)``: the trees' own scores."""
        return self.booster_.predict(self._matrix(X)).astype(float)

    def _matrix(self, X: Schedules, z: Array | None = None) -> xgboost.DMatrix:
        features, names = structural_features(self._batch_plan(X), self.latency)
        matrix = xgboost.DMatrix(features, label=z, feature_names=names, nthread=self._threads)
        if z is not None and self.objective == "ranking":
            # Ranks from 0 to 1: xgboost orders by relevance, of which a higher score gets more here.
            matrix.set_label((rankdata(z) - 1) / max(len(z) - 1, 1))
            matrix.set_group([len(z)])
        return matrix

    @property
    def _threads(self) -> int:
        if self.threads is not None:
            return self.threads
        try:
            return max(1, int(os.environ["OMP_NUM_THREADS"]))
        except (KeyError, ValueError):  # not set, or a list for nested loops
            return usable_cpus()

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        trees = trees_of(json.loads(self.booster_.save_raw("json")))
        arrays = trees.arrays()
        if self.curve_ is not None:
            arrays |= {"raw": self.curve_.raw, "z": self.curve_.z}
        return {"base_score": trees.base_score}, arrays

    def _restore(self, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        learned = read_table(TreesLearned, values, "learned")
        if self.objective not in OBJECTIVES:
            raise unknown_name("objective", self.objective, OBJECTIVES)
        knots = {"raw", "z"} if self.objective == "ranking" else set()
        own = {name: array for name, array in arrays.items() if name not in knots}
        if "booster" in own:  # of an earlier version: xgboost's binary JSON, which it would believe as it is
            expect(own, {"booster": (np.uint8, (None,))})
            trees = trees_of(decode(own["booster"].tobytes()))
        else:
            trees = Trees.from_arrays(own, learned.base_score)
        space = self._space
        _, names = structural_features(
            self._batch_plan(space.canonical(np.ones((1, space.length), np.int64))), self.latency
        )
        trees.check(len(names))
        self.booster_ = trees.booster(names, str(OBJECTIVES[self.objective]["objective"]), self._threads)
        self.curve_ = RisingCurve.checked(arrays["raw"], arrays["z"]) if knots else None


def _lost_tau(raw: NDArray[np.float32], matrix: xgboost.DMatrix) -> tuple[str, float]:
    """1 - Kendall's tau on validation schedules, for early stopping."""
    tau = float(kendalltau(raw, matrix.get_label()).statistic)
    return "lost-tau", 1 - tau if np.isfinite(tau) else 1.0
