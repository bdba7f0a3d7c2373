"""The Gaussian process's kernel: what a step's coordinates are, and the kernel's gradient."""

from __future__ import annotations

import numpy as np
import pytest

from omsdpm.noise import DiscreteVP, LinearVP
from omsdpm.solvers import DDIMSpace, DPMSolverSpace, MultistepSpace
from omsdpm.solvers.dpm_solver import time_end
from predictors.gp.kernel import TYPICAL_GAP, StepKernel, kernel_coordinates
from predictors.gp.predictor import negative_log_likelihood

SPACES = [
    (DDIMSpace(3, 10), DiscreteVP.linear()),
    (MultistepSpace(3, 10), DiscreteVP.linear()),
    (DPMSolverSpace(3, 5), LinearVP()),
]


def designs(space, n):
    return space.canonical(space.random(n, np.random.default_rng(0), null=0.6))


def sums(X, space, noise, *wanted):
    """``(n,)``: the one coordinate of the given factors."""
    coordinates, factors = kernel_coordinates(space.batch_plan(X, noise))
    (column,) = [c for c, factor in enumerate(factors) if factor == wanted]
    return coordinates[:, column]


@pytest.mark.parametrize(("space", "noise"), SPACES)
def test_coordinates_of_a_schedule_do_not_depend_on_the_others(space, noise):
    X = designs(space, 30)
    coordinates, factors = kernel_coordinates(space.batch_plan(X, noise))
    assert coordinates.shape == (30, len(factors))
    assert np.isfinite(coordinates).all()
    for row in range(30):
        alone, same = kernel_coordinates(space.batch_plan(X[row : row + 1], noise))
        assert np.allclose(alone[0], coordinates[row])
        assert same == factors


@pytest.mark.parametrize(("space", "noise"), SPACES)
def test_coordinates_count_members(space, noise):
    X = designs(space, 30)
    for k in range(1, space.num_models + 1):
        evaluations = np.count_nonzero(np.equal(X, k), axis=1)
        assert np.allclose(sums(X, space, noise, f"member {k}", "any gap", "anywhere"), evaluations)


@pytest.mark.parametrize(("space", "noise"), SPACES[:2])
def test_gaps_of_slots_add_up_to_the_axis_at_most(space, noise):
    shortest = np.zeros((1, space.length), dtype=np.int64)
    shortest[0, -1] = 1  # one step from the noise to the image
    (whole,) = sums(space.canonical(shortest), space, noise, "step", "gap of axis 0", "anywhere")
    assert (sums(designs(space, 30), space, noise, "step", "gap of axis 0", "anywhere") <= whole + 1e-9).all()


def test_gaps_of_solvers_are_their_time_and_that_by_their_width_to_their_order():
    space, noise = SPACES[2]
    X = np.zeros((4, space.length), dtype=np.int64)
    for row, order in enumerate([1, 2, 3]):
        X[row, :order] = 1
    X[3, [0, 3]] = 2
    errors, spans = (sums(X, space, noise, "step", f"gap of axis {axis}", "anywhere") for axis in range(2))
    assert np.allclose(spans, (1 - time_end(3)) / TYPICAL_GAP)
    widths = np.array([1, 1, 1, 0.5])
    assert np.allclose(errors, spans * (widths / TYPICAL_GAP) ** [1, 2, 3, 1])


def test_evaluations_of_a_solver_stand_at_their_own_places():
    space, noise = SPACES[2]
    X = np.zeros((2, space.length), dtype=np.int64)
    X[0, :3] = 1, 2, 3  # evaluated from the last to the first
    X[1, [0, 1, 3]] = 1, 2, 3  # two solvers
    coordinates, factors = kernel_coordinates(space.batch_plan(X, noise))
    for k, places in ((1, [2 / 3, 3 / 4]), (2, [1 / 3, 1 / 2]), (3, [0, 0])):
        waves = [c for c, factor in enumerate(factors) if factor == (f"member {k}", "any gap", "wave 1 of axis 0")]
        angles = np.pi * np.array(places)
        assert np.allclose(coordinates[:, waves], np.column_stack([np.cos(angles), np.sin(angles)]))


@pytest.mark.parametrize(("space", "noise"), SPACES)
def test_the_gradient_is_that_of_the_likelihood(space, noise):
    rng = np.random.default_rng(0)
    coordinates, factors = kernel_coordinates(space.batch_plan(designs(space, 15), noise))
    kernel, z = StepKernel(coordinates, factors), rng.normal(size=15)
    theta = kernel.start + 0.3 * rng.normal(size=len(kernel.start))
    gradient = negative_log_likelihood(kernel, coordinates, z, theta)[1]
    for h in range(len(theta)):
        step = np.zeros(len(theta))
        step[h] = 1e-5
        up, down = (negative_log_likelihood(kernel, coordinates, z, theta + sign * step)[0] for sign in (1, -1))
        assert np.isclose(gradient[h], (up - down) / 2e-5, rtol=1e-4, atol=1e-5)


def test_the_kernel_is_a_covariance():
    space, noise = SPACES[0]
    coordinates, factors = kernel_coordinates(space.batch_plan(np.unique(designs(space, 20), axis=0), noise))
    kernel = StepKernel(coordinates, factors)
    f = kernel.embed(coordinates, kernel.start)
    K = kernel(f, f, kernel.start)
    assert np.allclose(K, K.T)
    assert np.linalg.eigvalsh(K).min() > -1e-9
    assert np.allclose(np.diag(K), kernel.diagonal(f, kernel.start))
    noisy = kernel.covariance(f, kernel.start)
    assert np.allclose(noisy - K, np.exp(kernel.start[-1]) * np.eye(len(K)))
