"""Sampling of Gaussian data in closed form, against the plans that really sample."""

from __future__ import annotations

import numpy as np
import pytest

from omsdpm.noise import DiscreteVP, Flow, LinearVP
from omsdpm.solvers import DDIMSpace, DPMSolverSpace, MultistepSpace, UniPCSpace, compile_plan
from predictors import gaussian as _gaussian
from predictors.gaussian import SMALLEST_RATIO, log_ratio
from predictors.steps import step_tokens

VARIANCES = np.array([1e-3, 0.1, 4.0])

SPACES = [
    (DDIMSpace(3, 9), DiscreteVP.linear()),
    (MultistepSpace(3, 9), DiscreteVP.linear()),
    (DPMSolverSpace(3, 6), LinearVP()),
    (DPMSolverSpace(2, 4), DiscreteVP.linear()),
    (UniPCSpace(3, 9), DiscreteVP.linear()),
    (DDIMSpace(3, 5, (999.0, 700.5, 430.0, 200.25, 3.0)), DiscreteVP.cosine()),
    (DDIMSpace(2, 5, (1000.0, 800.0, 600.0, 400.0, 200.0)), Flow()),
    (MultistepSpace(2, 4, (999.0, 749.5, 499.0, 249.0)), DiscreteVP.scaled_linear(0.00085, 0.012).rescaled()),
]


def sampled(plan, noise, errors):
    """The image from a start of one, with the best networks plus an error each: ``(V,)``."""
    states, outputs = [np.ones(len(VARIANCES))], [np.zeros(len(VARIANCES))]

    def combined(combination):
        terms = [weight * states[number] for number, weight in combination.states]
        return sum(terms + [weight * outputs[number] for number, weight in combination.outputs])

    for stage, error in zip(plan.stages, errors, strict=True):
        time = noise.time(stage.timestep)
        alpha, sigma = float(noise.alpha(time)), float(noise.sigma(time))
        x = combined(stage.input)
        states.append(x)
        best = sigma if stage.predicts == "epsilon" else alpha * VARIANCES
        outputs.append(best * x / (alpha**2 * VARIANCES + sigma**2) + error)
    return combined(plan.closing)


@pytest.mark.parametrize(("space", "noise"), SPACES, ids=str)
def test_ratios_and_effects_are_those_of_the_plans(space, noise):
    X = space.canonical(space.random(40, np.random.default_rng(0)))
    flow = space.batch_plan(X, noise).flow(VARIANCES)
    for row, x in enumerate(X):
        plan = compile_plan(x, space, noise)
        there = flow.member[row] > 0
        assert flow.member[row][there].tolist() == plan.models.tolist()
        assert flow.timestep[row][there] == pytest.approx([stage.timestep for stage in plan.stages])
        image = sampled(plan, noise, np.zeros(plan.nfe))
        expected = np.log(np.maximum(np.abs(image) / np.sqrt(VARIANCES), SMALLEST_RATIO))
        assert log_ratio(flow.scale, VARIANCES)[row] == pytest.approx(expected, rel=1e-9, abs=1e-9)
        # Sampling is linear in the errors, so a difference is the derivative.
        effects = [sampled(plan, noise, error) - image for error in np.eye(plan.nfe)]
        assert flow.effect[row][there] == pytest.approx(np.array(effects), rel=1e-9, abs=1e-12)
        assert not flow.effect[row][~there].any()


@pytest.mark.parametrize(("space", "noise"), SPACES, ids=str)
def test_a_schedule_gives_the_same_whatever_its_batch(space, noise):
    X = space.canonical(space.random(30, np.random.default_rng(1)))
    together = space.batch_plan(X, noise).flow(VARIANCES)
    for row in range(len(X)):
        alone = space.batch_plan(X[row : row + 1], noise).flow(VARIANCES)
        assert np.array_equal(alone.scale[0], together.scale[row])


@pytest.mark.parametrize(("space", "noise"), SPACES, ids=str)
def test_networks_are_told_the_same_ratios(space, noise):
    X = space.canonical(space.random(40, np.random.default_rng(2)))
    batch = space.batch_plan(X, noise)
    expected = log_ratio(batch.flow(_gaussian.VARIANCES).scale)
    assert step_tokens(batch).ratio == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_with_more_steps_gaussian_data_comes_out_right():
    noise, errors = DiscreteVP.linear(), []
    for length in (10, 100, 1000):
        flow = DDIMSpace(1, length).batch_plan(np.ones((1, length), dtype=np.int64), noise).flow(VARIANCES[1:])
        errors.append(np.abs(log_ratio(flow.scale, VARIANCES[1:])).max())
    assert errors[1] < errors[0] / 4 and errors[2] < errors[1] / 4  # of first order
    assert errors[2] < 0.01
