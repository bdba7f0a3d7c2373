"""Where evaluations stand on the lambda axis, and what is derived from that."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omsdpm.noise import DiscreteVP, LinearVP, lambda_of
from omsdpm.solvers import compile_plan
from omsdpm.spaces import DDIMSpace, DPMSolverSpace
from predictors._axis import piecewise, steps_of
from predictors._features import structural_features
from predictors._kernel import GroupedMatern, kernel_coordinates

SPACES = [(DDIMSpace(3, 10), DiscreteVP.linear()), (DPMSolverSpace(3, 5), LinearVP())]


@pytest.mark.parametrize(("space", "noise"), SPACES)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_steps_are_those_of_the_plan(space, noise, seed):
    """Members in the plan's order, at positions that are linear in its timesteps' lambda."""
    (x,) = X = space.canonical(space.random(1, np.random.default_rng(seed), null=0.5))
    plan, steps = compile_plan(x, space, noise), steps_of(X, space, noise)
    assert steps.member[0].tolist() == plan.models.tolist()
    assert (np.diff(steps.position[0]) > 0).all()
    assert np.isclose(steps.gaps.sum(), 1 - steps.position[0, 0])
    timesteps = np.array([stage.timestep for stage in plan.stages])
    if plan.nfe > 2:
        lambdas = lambda_of(0.5 * np.log(noise.alpha_bar(timesteps)))
        inside = timesteps > 0  # a timestep is held at 0 when the time is below the first training step
        if inside.sum() > 2:
            assert np.corrcoef(lambdas[inside], steps.position[0, inside])[0, 1] > 1 - 1e-9


def test_piecewise_holds_the_last_value():
    steps = steps_of(np.array([[0, 2, 0, 0, 1, 0, 0, 0, 0, 0]]), *SPACES[0])
    first, second = steps.position[0]
    grid = np.array([0.0, first, second - 1e-9, second, 1.0])
    assert piecewise(steps, steps.member, grid).tolist() == [[1, 1, 1, 2, 2]]


@pytest.mark.parametrize(("space", "noise"), SPACES)
def test_features_and_coordinates_of_a_schedule_do_not_depend_on_the_others(space, noise):
    X = space.canonical(space.random(30, np.random.default_rng(0), null=0.6))
    features, names = structural_features(X, space, noise, latency=(1.0, 2.0, 4.0))
    coordinates, widths = kernel_coordinates(X, space, noise)
    assert features.shape == (30, len(names)) and len(set(names)) == len(names)
    assert coordinates.shape == (30, sum(widths))
    assert np.array_equal(features[:, names.index("latency")], space.latency(X, (1.0, 2.0, 4.0)))
    for row in range(30):
        alone = structural_features(X[row : row + 1], space, noise, latency=(1.0, 2.0, 4.0))[0]
        assert np.allclose(alone[0], features[row], equal_nan=True)
        assert np.allclose(kernel_coordinates(X[row : row + 1], space, noise)[0][0], coordinates[row])


def test_the_kernel_is_positive_and_its_gradient_is_that_of_its_values():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12, 6))
    kernel = GroupedMatern((2, 3, 1), np.array([1.0, 2.0, 0.5]))
    K, gradient = kernel(X, eval_gradient=True)
    assert np.linalg.eigvalsh(K).min() > 0
    assert np.allclose(K, kernel(X)) and np.allclose(K, kernel(X, X.copy())) and np.allclose(np.diag(K), kernel.diag(X))
    for g in range(3):
        step = np.zeros(3)
        step[g] = 1e-5
        up, down = (kernel.clone_with_theta(kernel.theta + sign * step)(X) for sign in (1, -1))
        assert np.allclose(gradient[:, :, g], (up - down) / 2e-5, atol=1e-6)
