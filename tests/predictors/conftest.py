"""A landscape of scores without images: an affine denoiser makes the Fréchet distance exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from omsdpm.noise import DiscreteVP, LinearVP, Noise
from omsdpm.sampling import sample_population
from omsdpm.solvers import DDIMSpace, DPMSolverSpace, MultistepSpace, ScheduleSpace

SPACES = {
    "ddim": DDIMSpace(num_models=3, length=10),
    "dpm-solver": DPMSolverSpace(num_models=3, num_solvers=5),
    "dpm-solver++": MultistepSpace(num_models=3, length=10),
}


@dataclass(frozen=True)
class Landscape:
    """Schedules and scores of one space, first for training and then held out."""

    space: ScheduleSpace
    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def noise_of(space: ScheduleSpace) -> Noise:
    """The continuous schedule where the solver needs one."""
    return LinearVP() if isinstance(space, DPMSolverSpace) else DiscreteVP.linear()


def exact_scores(space: ScheduleSpace, X: np.ndarray, dimensions: int = 16) -> np.ndarray:
    """Fréchet distances ``(n,)`` of what schedules sample for normal data.

    Along each axis the data is normal, so the exact denoiser is affine in x; member ``k``
    is wrong by a factor that falls with ``k``, most at its own part of the time axis.
    Sampling is then affine too, and the images of 0 and 1 tell its mean and spread.
    """
    spread = torch.linspace(0.05, 1.5, dimensions, dtype=torch.float64)
    mean = torch.linspace(-1.0, 1.0, dimensions, dtype=torch.float64)
    noise = noise_of(space)
    wrong = 0.15 / np.arange(1, space.num_models + 1) ** 2
    peak = np.linspace(0.2, 0.8, space.num_models)

    def denoiser(k):
        def eps(x, t):
            alpha_bar = float(noise.alpha_bar(t))
            sigma = (1 - alpha_bar) ** 0.5
            exact = sigma * (x - alpha_bar**0.5 * mean) / (alpha_bar * spread**2 + sigma**2)
            return exact * (1 + wrong[k] * np.exp(-10 * (t / 1000 - peak[k]) ** 2))

        return eps

    x_T = torch.stack([torch.zeros(dimensions), torch.ones(dimensions)]).double()
    y = np.zeros(len(X))
    denoisers = [denoiser(k) for k in range(space.num_models)]
    for row, x_0 in sample_population(denoisers, X, x_T, space=space, noise=noise):
        gain = (x_0[1] - x_0[0]).abs()
        y[row] = float(((gain - spread) ** 2 + (x_0[0] - mean) ** 2).sum())
    return y


@pytest.fixture(scope="session", params=list(SPACES))
def landscape(request) -> Landscape:
    """Every space once."""
    return make_landscape(SPACES[request.param])


@pytest.fixture(scope="session")
def ddim_landscape() -> Landscape:
    """DDIM only, for tests in which the space does not matter."""
    return make_landscape(SPACES["ddim"])


def make_landscape(space: ScheduleSpace, n: int = 200, held_out: int = 100) -> Landscape:
    """Distinct random designs and their scores."""
    rng = np.random.default_rng(0)
    designs = space.canonical(space.random(3 * (n + held_out), rng, null=0.6))
    _, first = np.unique(designs, axis=0, return_index=True)
    X = designs[np.sort(first)[: n + held_out]]
    y = exact_scores(space, X)
    return Landscape(space, X[:n], y[:n], X[n:], y[n:])
