"""The Gaussian process: what it interpolates, and how wide its intervals are."""

from __future__ import annotations

import numpy as np
import pytest

from omsdpm.solvers import DDIMSpace
from predictors.gp import predictor as gp
from predictors.gp.kernel import kernel_coordinates
from predictors.gp.predictor import GPPredictor, _widening

SPACE = DDIMSpace(num_models=3, length=10)


def labels(rng, n, noise=0.0):
    """Schedules and scores that are a sum over steps, of any sign."""
    X = np.unique(SPACE.random(2 * n, rng, null=0.6), axis=0)
    X = X[rng.permutation(len(X))[:n]]
    cost = np.array([0.0, 3.0, 1.0, 0.2])[X] * np.linspace(1.5, 0.5, SPACE.length)
    return X, cost.sum(axis=1) - 3 + noise * rng.normal(size=len(X))


def test_a_sum_over_steps_is_learned_from_few_labels():
    X, y = labels(np.random.default_rng(0), 180)
    predictor = GPPredictor(SPACE).fit(X[:80], y[:80])
    assert predictor.score(X[80:], y[80:]) > 0.9


def test_standard_deviations_are_small_near_labels_and_large_far_away():
    rng = np.random.default_rng(1)
    X, y = labels(rng, 60)
    predictor = GPPredictor(SPACE).fit(X[:40], y[:40])
    assert predictor.predict_std(X[:40]).mean() < 0.5 * predictor.predict_std(np.full((1, 10), 3))[0]


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_intervals_hold_as_many_measurements_as_they_say(noise):
    X, y = labels(np.random.default_rng(2), 400, noise)
    predictor = GPPredictor(SPACE, tune_size=60).fit(X[:100], y[:100])
    for level in (0.5, 0.9):
        low, high = predictor.predict_interval(X[100:], level)
        assert abs(np.mean((low <= y[100:]) & (y[100:] <= high)) - level) < 0.15


def test_left_out_residuals_are_those_of_fits_without_each_label():
    X, y = labels(np.random.default_rng(3), 12, 0.2)
    predictor = GPPredictor(SPACE).fit(X, y)
    K = predictor.cholesky_ @ predictor.cholesky_.T
    residuals = []
    for i in range(len(X)):
        rest = np.arange(len(X)) != i
        weights = np.linalg.solve(K[np.ix_(rest, rest)], K[rest, i])
        residual = predictor.z_[i] - weights @ predictor.z_[rest]
        residuals.append(residual / np.sqrt(K[i, i] - weights @ K[rest, i]))
    assert np.isclose(predictor.widening_, _widening(np.array(residuals)))


def test_hyperparameters_are_refined_on_more_labels(monkeypatch):
    """Where the search on few labels stops, the one on more goes on."""
    monkeypatch.setattr(gp, "COARSE_SIZE", 25)
    X, y = labels(np.random.default_rng(5), 100, 0.3)
    likelihoods = []
    for tune_size in (25, 100):
        fitted = GPPredictor(SPACE, tune_size=tune_size).fit(X, y)
        coordinates, _ = kernel_coordinates(SPACE.batch_plan(fitted.X_, fitted._noise))
        likelihoods.append(-gp.negative_log_likelihood(fitted.kernel_, coordinates, fitted.z_, fitted.theta_)[0])
    assert likelihoods[1] > likelihoods[0]


def test_widening_is_one_for_normal_residuals_and_follows_their_scale():
    residuals = np.random.default_rng(4).normal(size=20_000)
    assert np.isclose(_widening(residuals), 1, atol=0.05)
    assert np.isclose(_widening(3 * residuals), 3 * _widening(residuals))
    assert _widening(np.zeros(5)) > 0
