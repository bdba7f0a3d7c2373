"""A Gaussian process with a kernel over schedules as sets of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.stats import norm

from omsdpm.noise import Noise
from omsdpm.solvers import ScheduleSpace, SolverOptions
from predictors.base import Array, Predictor, Schedules
from predictors.gp.kernel import StepKernel, kernel_coordinates

BEYOND = 0.25
"""How far a coordinate may lie outside the training schedules' range, in its lengths."""

CHUNK = 1024
"""Schedules scored at once; bounds the memory of their covariances with the training data."""

PRIOR = 2.0
"""Standard deviation, in logarithms, of a factor's weight before any label is seen."""

PRIOR_OF_VARIANCES = 3.0
"""The same of the three variances."""

COARSE_SIZE = 400
"""Labels that the search for hyperparameters starts on; a step costs the cube of their number."""

SEARCH_STEPS = 100
"""Most steps of the search on these."""

REFINEMENT_STEPS = 15
"""Most steps of the search on more labels, from where the first one ended."""

LEVELS = (0.5, 0.9)
"""Of the intervals that left-out labels must lie in as often as they say."""

LEAST_WIDENING = 0.1
"""Keeps standard deviations positive where all labels are equal."""


class GPPredictor(Predictor):
    """Gaussian process whose kernel compares schedules as sets of steps: member, place and width.

    Exact regression on standardized (log) scores. Hyperparameters maximize the marginal
    likelihood, times a wide prior on their logarithms, on a random subset of the labels where
    there are many, because each step of the search costs the cube of their number. Standard
    deviations are then widened until intervals hold left-out labels as often as they say.

    Far from its labels the prediction goes back to their mean but for the kernel's linear part, whose
    coordinates are held near the labels' range, and the standard deviation grows to that of all labels and beyond.

    Args:
        space, noise, latency, random_state, options: see :class:`predictors.Predictor`; latency is not used.
        tune_size: most labels that hyperparameters are found on.
    """

    has_std: ClassVar[bool] = True

    def __init__(
        self,
        space: ScheduleSpace | None = None,
        noise: Noise | None = None,
        latency: Sequence[float] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        tune_size: int = 1000,
        options: SolverOptions | None = None,
    ) -> None:
        super().__init__(space, noise, latency, random_state, options)
        self.tune_size = tune_size

    def _learn(self, X: Schedules, z: Array, validation: tuple[Schedules, Array] | None) -> None:
        rows = np.random.default_rng(self._seed()).permutation(len(X))[: self.tune_size]
        coordinates, factors = kernel_coordinates(self._batch_plan(X))
        kernel = StepKernel(coordinates, factors)
        few = rows[:COARSE_SIZE]
        theta = _tuned(kernel, coordinates[few], z[few], kernel.start, SEARCH_STEPS)
        if len(rows) > len(few):
            theta = _tuned(kernel, coordinates[rows], z[rows], theta, REFINEMENT_STEPS)
        self._condition(X, z, theta)

    def _condition(self, X: Schedules, z: Array, theta: Array) -> None:
        """The exact posterior given all labels, with known hyperparameters."""
        self.X_, self.z_, self.theta_ = X, z, theta
        coordinates, factors = kernel_coordinates(self._batch_plan(X))
        low, high = coordinates.min(axis=0), coordinates.max(axis=0)
        self.low_, self.high_ = low - BEYOND * (high - low), high + BEYOND * (high - low)
        self.kernel_ = StepKernel(coordinates, factors)
        self.embedding_ = self.kernel_.embed(coordinates, theta)
        self.cholesky_ = cholesky(self.kernel_.covariance(self.embedding_, theta), lower=True)
        inverse = cho_solve((self.cholesky_, True), np.eye(len(X)))
        self.alpha_ = inverse @ z
        self.widening_ = _widening(self.alpha_ / np.sqrt(np.diag(inverse)))

    def _score(self, X: Schedules) -> Array:
        return np.concatenate([self.kernel_(f, self.embedding_, self.theta_) @ self.alpha_ for f in self._embedded(X)])

    def _score_std(self, X: Schedules) -> Array:
        return np.concatenate([self._std(f) for f in self._embedded(X)])

    def _score_and_std(self, X: Schedules) -> tuple[Array, Array]:
        chunks = self._embedded(X)
        score = np.concatenate([self.kernel_(f, self.embedding_, self.theta_) @ self.alpha_ for f in chunks])
        return score, np.concatenate([self._std(f) for f in chunks])

    def _std(self, f: Array) -> Array:
        """``(n, F) -> (n,)``: standard deviations of measurements of embedded schedules."""
        with_training = self.kernel_(self.embedding_, f, self.theta_)
        known = (solve_triangular(self.cholesky_, with_training, lower=True) ** 2).sum(axis=0)
        variance = np.maximum(self.kernel_.diagonal(f, self.theta_) - known, 0) + np.exp(self.theta_[-1])
        return self.widening_ * np.sqrt(variance)

    def _embedded(self, X: Schedules) -> list[Array]:
        """Chunks ``(m, F)``, held near the training schedules' range, coordinate by coordinate.

        The kernel's linear part would go on far beyond it, and a search would find where that leads.
        """
        chunks = (X[i : i + CHUNK] for i in range(0, len(X), CHUNK))
        coordinates = (kernel_coordinates(self._batch_plan(chunk))[0] for chunk in chunks)
        return [self.kernel_.embed(np.clip(c, self.low_, self.high_), self.theta_) for c in coordinates]

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        return {}, {"X": self.X_, "z": self.z_, "theta": self.theta_}

    def _restore(self, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        self._condition(self._space.check(arrays["X"]), arrays["z"], arrays["theta"])


def _tuned(kernel: StepKernel, coordinates: Array, z: Array, start: Array, steps: int) -> Array:
    """Hyperparameters ``(H,)`` of greatest posterior density given labels ``(n,)``, as far as so many steps go."""
    spread = np.full(len(kernel.start), PRIOR)
    spread[-3:] = PRIOR_OF_VARIANCES

    def loss(theta: Array) -> tuple[float, Array]:
        value, slope = negative_log_likelihood(kernel, coordinates, z, theta)
        away = (theta - kernel.start) / spread
        return value + 0.5 * away @ away, slope + away / spread

    optimum = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=kernel.bounds, options={"maxiter": steps})
    return optimum.x


def negative_log_likelihood(kernel: StepKernel, coordinates: Array, z: Array, theta: Array) -> tuple[float, Array]:
    """Minus the log marginal likelihood of labels ``z`` ``(n,)``, up to a constant, and its gradient ``(H,)``.

    Rasmussen and Williams (2006), eq. 5.8 and 5.9.
    """
    f = kernel.embed(coordinates, theta)
    factor = cholesky(kernel.covariance(f, theta), lower=True)
    inverse = cho_solve((factor, True), np.eye(len(z)))
    alpha = inverse @ z
    value = 0.5 * z @ alpha + np.log(np.diag(factor)).sum()
    return float(value), kernel.gradient(f, theta, 0.5 * (inverse - np.outer(alpha, alpha)))


def _widening(residuals: Array) -> float:
    """By how much to multiply standard deviations so that intervals hold the left-out labels.

    Args:
        residuals: ``(n,)`` leave-one-out residuals over their predicted standard deviations,
            ``alpha_i / sqrt(K^-1_ii)`` (Rasmussen and Williams, 2006, sec. 5.4.2).
    """
    sizes = np.quantile(np.abs(residuals), LEVELS)
    return max(LEAST_WIDENING, float((sizes / norm.ppf(0.5 + np.array(LEVELS) / 2)).max()))
