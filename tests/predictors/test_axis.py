"""Where evaluations stand on the lambda axis, and what is derived from that."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omsdpm.noise import DiscreteVP, LinearVP, lambda_of
from omsdpm.solvers import DDIMSpace, DPMSolverSpace, compile_plan
from predictors.axis import piecewise
from predictors.features import structural_features

SPACES = [(DDIMSpace(3, 10), DiscreteVP.linear()), (DPMSolverSpace(3, 5), LinearVP())]


@pytest.mark.parametrize(("space", "noise"), SPACES)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_steps_are_those_of_the_plan(space, noise, seed):
    """Members in the plan's order, at positions that are linear in its timesteps' lambda."""
    (x,) = X = space.canonical(space.random(1, np.random.default_rng(seed), null=0.5))
    plan, steps = compile_plan(x, space, noise), space.batch_plan(X, noise)
    assert steps.member[0].tolist() == plan.models.tolist()
    assert (np.diff(steps.position[0]) > 0).all()
    assert np.isclose(steps.width.sum(), 1 - steps.position[0, 0])
    timesteps = np.array([stage.timestep for stage in plan.stages])
    if plan.nfe > 2:
        lambdas = lambda_of(0.5 * np.log(noise.alpha_bar(timesteps)))
        inside = timesteps > 0  # a timestep is held at 0 when the time is below the first training step
        if inside.sum() > 2:
            assert np.corrcoef(lambdas[inside], steps.position[0, inside])[0, 1] > 1 - 1e-9


def test_piecewise_holds_the_last_value():
    steps = SPACES[0][0].batch_plan(np.array([[0, 2, 0, 0, 1, 0, 0, 0, 0, 0]]), SPACES[0][1])
    first, second = steps.position[0]
    grid = np.array([0.0, first, second - 1e-9, second, 1.0])
    assert piecewise(steps, steps.member, grid).tolist() == [[1, 1, 1, 2, 2]]


@pytest.mark.parametrize(("space", "noise"), SPACES)
def test_features_of_a_schedule_do_not_depend_on_the_others(space, noise):
    X = space.canonical(space.random(30, np.random.default_rng(0), null=0.6))
    features, names = structural_features(space.batch_plan(X, noise), latency=(1.0, 2.0, 4.0))
    assert features.shape == (30, len(names)) and len(set(names)) == len(names)
    assert np.array_equal(features[:, names.index("latency")], space.latency(X, (1.0, 2.0, 4.0)))
    for row in range(30):
        alone = structural_features(space.batch_plan(X[row : row + 1], noise), latency=(1.0, 2.0, 4.0))[0]
        assert np.allclose(alone[0], features[row], equal_nan=True)
