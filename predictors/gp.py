"""A Gaussian process with a kernel over schedules on the time axis."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Kernel, WhiteKernel

from omsdpm.noise import Noise
from omsdpm.spaces import ScheduleSpace
from predictors._base import Array, Predictor, Schedules
from predictors._kernel import GroupedMatern, kernel_coordinates

CHUNK = 1024
"""Schedules scored at once; bounds the memory of their covariances with the training data."""

JITTER = 1e-8
"""On the diagonal, for duplicate schedules without noise."""


class GPPredictor(Predictor):
    """Gaussian process (scikit-learn) whose kernel compares who covers the lambda axis and how finely.

    Exact regression on standardized (log) scores. Hyperparameters maximize the marginal
    likelihood, on a random subset of the labels where there are many, because each of the
    optimizer's steps costs the cube of their number.

    Args:
        space, noise, latency, random_state: see :class:`predictors.Predictor`; latency is not used.
        tune_size: most labels that hyperparameters are found on.
        restarts: of the likelihood's optimizer, from random hyperparameters.
    """

    has_std: ClassVar[bool] = True

    def __init__(
        self,
        space: ScheduleSpace | None = None,
        noise: Noise | None = None,
        latency: Sequence[float] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        tune_size: int = 300,
        restarts: int = 0,
    ) -> None:
        super().__init__(space, noise, latency, random_state)
        self.tune_size = tune_size
        self.restarts = restarts

    def _learn(self, X: Schedules, z: Array, validation: tuple[Schedules, Array] | None) -> None:
        seed = self._seed()
        rows = np.random.default_rng(seed).permutation(len(X))[: self.tune_size]
        coordinates, widths = self._coordinates(X)
        tuned = GaussianProcessRegressor(
            self._kernel(widths), alpha=JITTER, n_restarts_optimizer=self.restarts, random_state=seed
        )
        with warnings.catch_warnings():
            # A length scale at its bound is a group that does not matter, not a failure.
            warnings.simplefilter("ignore", ConvergenceWarning)
            tuned.fit(coordinates[rows], z[rows])
        self._condition(X, z, tuned.kernel_)

    def _condition(self, X: Schedules, z: Array, kernel: Kernel) -> None:
        """The exact posterior given all labels, with known hyperparameters."""
        self.X_, self.z_ = X, z
        self.process_ = GaussianProcessRegressor(kernel, alpha=JITTER, optimizer=None)
        self.process_.fit(self._coordinates(X)[0], z)

    def _score(self, X: Schedules) -> Array:
        return self._in_chunks(X, with_std=False)[0]

    def _score_std(self, X: Schedules) -> Array:
        return self._in_chunks(X, with_std=True)[1]

    def _in_chunks(self, X: Schedules, with_std: bool) -> tuple[Array, Array]:
        means, stds = np.zeros(len(X)), np.zeros(len(X))
        for start in range(0, len(X), CHUNK):
            part = slice(start, start + CHUNK)
            coordinates = self._coordinates(X[part])[0]
            if with_std:
                means[part], stds[part] = self.process_.predict(coordinates, return_std=True)
            else:
                means[part] = self.process_.predict(coordinates)
        return means, stds

    def _kernel(self, widths: tuple[int, ...]) -> Kernel:
        """Signal plus measurement noise, before tuning."""
        signal = ConstantKernel(4.0, (1e-2, 1e4)) * GroupedMatern(widths, np.full(len(widths), 2.0))
        return signal + WhiteKernel(1e-2, (1e-6, 2.0))

    def _coordinates(self, X: Schedules) -> tuple[Array, tuple[int, ...]]:
        return kernel_coordinates(X, self._space, self._noise)

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        return {}, {"X": self.X_, "z": self.z_, "theta": self.process_.kernel_.theta}

    def _restore(self, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        X = self._space.check(arrays["X"])
        self._condition(X, arrays["z"], self._kernel(self._coordinates(X)[1]).clone_with_theta(arrays["theta"]))
