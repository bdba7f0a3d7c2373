"""Schedules as sequences of categorical tokens on the time axis, for sequence networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omsdpm.noise import Noise
from omsdpm.solvers import DPMSolverSpace, ScheduleSpace
from omsdpm.solvers.dpm_solver import time_end
from predictors.axis import slot_timesteps

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Tokens:
    """A batch of ``n`` schedules as sequences of ``S`` tokens, image end first.

    Member and timestep are both categorical, so a network embeds the few distinct ones and
    looks the rest up.

    Attributes:
        vocabulary: ``(U, G)`` members of the distinct tokens; G is 1, or 3 for DPM-Solvers.
        token: ``(n, S)`` rows of ``vocabulary``.
        timesteps: ``(V,)`` distinct model-input timesteps.
        time: ``(n, S)`` rows of ``timesteps``; ``V`` stands for no timestep.
    """

    vocabulary: Ints
    token: Ints
    timesteps: NDArray[np.float64]
    time: Ints


def tokenize(X: Ints, space: ScheduleSpace, noise: Noise) -> Tokens:
    """Tokens of canonical schedules ``(n, L)``: a slot each, or for DPM-Solvers a group of three; null ones too."""
    if isinstance(space, DPMSolverSpace):
        groups, timesteps = space.groups(X), solver_timesteps(X, space, noise)
    else:
        groups, timesteps = X[:, :, None], np.broadcast_to(slot_timesteps(space), X.shape).astype(float)
    vocabulary, token = np.unique(groups.reshape(-1, groups.shape[2]), axis=0, return_inverse=True)
    values, time = np.unique(timesteps, return_inverse=True)
    time = time.reshape(timesteps.shape)
    known = len(values) - int(np.isnan(values).any())  # NaN, for no timestep, sorts last
    return Tokens(vocabulary, token.reshape(timesteps.shape), values[:known], time)


def solver_timesteps(X: Ints, space: DPMSolverSpace, noise: Noise) -> NDArray[np.float64]:
    """``(n, L) -> (n, K)``: the timestep of each solver's image-end side, NaN for skipped ones.

    The ends of a schedule's A active solvers are uniform in lambda, as in sampling.
    """
    active = (space.orders_of(X) > 0).sum(axis=1)
    ends = np.array([time_end(nfe) for nfe in space.nfe(X)])
    timesteps = np.full((len(X), space.num_solvers), np.nan)
    for a, t_0 in {(int(a), float(t)) for a, t in zip(active, ends, strict=True)}:
        image, start = noise.lam([t_0, noise.t_start])
        lambdas = np.linspace(image, start, a + 1)
        rows = np.flatnonzero((active == a) & (ends == t_0))
        timesteps[rows[:, None], np.arange(a)] = noise.timestep(noise.inverse_lambda(lambdas[:-1]))
    return timesteps
