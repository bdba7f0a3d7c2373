"""Schedules as sequences of their active steps, each described by numbers, for neural networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omsdpm.noise import Noise
from omsdpm.solvers import DDIMSpace, DPMSolverSpace, ScheduleSpace
from omsdpm.solvers.dpm_solver import GROUP, time_end
from predictors.axis import Ints, slot_lambdas, slot_timesteps
from predictors.gaussian import VARIANCES, ddim_gains, gaussian_flow, has_closed_form, log_ratio, solver_gains
from predictors.paper.tokens import solver_timesteps

Array = NDArray[np.float64]

WAVES = 4
"""Half waves that a place on an axis is described by: what a step contributes changes slowly along it."""

ORDERS = 3

LOUD = 3.0
"""Size of indicators of a solver's members: a network starts from how their combinations differ."""


@dataclass(frozen=True)
class StepTokens:
    """The active steps of ``n`` schedules, image end first.

    A step is described by what is done and by where it is done. Few of either are distinct in
    a batch, so networks encode the distinct ones and look the rest up.

    Attributes:
        what: ``(U, F)`` features of the distinct things done: members, order.
        where: ``(V, G)`` features of the distinct places. For one step a slot, member and
            place act together: ``what`` has all features and ``where`` is one row of no columns.
        what_of, where_of: ``(n, S)`` rows of them for each step; 0 after the last.
        lengths: ``(n,)`` active steps, at least 1.
        ratio: ``(n, V)`` what the solver alone gets wrong on Gaussian data, the logarithm of the samples'
            standard deviation over the data's; no sum over steps says it as well.
    """

    what: Array
    where: Array
    what_of: Ints
    where_of: Ints
    lengths: Ints
    ratio: Array


def step_tokens(X: Ints, space: ScheduleSpace, noise: Noise) -> StepTokens:
    """Step tokens of canonical schedules ``(n, L)``; their features do not depend on the rest of the batch."""
    return _solver_steps(X, space, noise) if isinstance(space, DPMSolverSpace) else _slot_steps(X, space, noise)


def _slot_steps(X: Ints, space: ScheduleSpace, noise: Noise) -> StepTokens:
    """A step from a slot to the next active one towards the image, or to the image itself."""
    slots = space.length
    lengths = (X > 0).sum(axis=1)
    row, slot = X.nonzero()
    walk = np.zeros((len(X), int(lengths.max())), dtype=np.int64)  # active slots, image end first
    walk[row, np.arange(len(row)) - (lengths.cumsum() - lengths)[row]] = slot
    active = np.arange(walk.shape[1]) < lengths[:, None]
    # Slot s is place s + 1 and the image place 0; a step goes to the place of the one before it in the walk.
    start = walk + 1
    end = np.concatenate([np.zeros((len(X), 1), dtype=np.int64), start[:, :-1]], axis=1)
    code = (np.take_along_axis(X, walk, axis=1) * (slots + 1) + start) * (slots + 1) + end
    known, what_of = _distinct(code, active)
    member, place = np.divmod(known, (slots + 1) ** 2)
    start, end = np.divmod(place, slots + 1)

    lambdas = slot_lambdas(space, noise)
    span = max(lambdas[0] - lambdas[-1], 1e-9)
    # The image lies beyond every slot; it gets one slot's room on either axis.
    axis = np.concatenate([[1.0], (lambdas - lambdas[-1]) / span * (1 - 1 / slots)])
    at, gap = axis[start], axis[end] - axis[start]
    even, even_gap = 1 - start / slots, (start - end) / slots
    features = [
        np.eye(space.num_models)[member - 1],
        _waves(at),
        _waves(even),
        np.column_stack([np.log(np.maximum(gap, 1e-3)) + 3, 4 * gap, np.log(even_gap) + 2, 4 * even_gap]),
        4 * gap[:, None] * _waves(at),
        4 * even_gap[:, None] * _waves(even),
    ]
    nowhere, nowhere_of = np.zeros((1, 0)), np.zeros_like(what_of)
    if isinstance(space, DDIMSpace) and has_closed_form(space, noise):  # else a step depends on the one before it
        time = noise.time(slot_timesteps(space))
        alpha = np.concatenate([[1.0], noise.alpha(time)])
        sigma = np.concatenate([[0.0], noise.sigma(time)])
        gains = ddim_gains((alpha[start], sigma[start]), (alpha[end], sigma[end]), VARIANCES)[what_of]  # (n, S, V)
        ratio = log_ratio(gains.prod(axis=1, where=active[:, :, None]), VARIANCES)
    else:
        ratio = gaussian_flow(X, space, noise, VARIANCES).log_ratio
    return StepTokens(np.concatenate(features, axis=1), nowhere, what_of, nowhere_of, lengths, ratio)


def _solver_steps(X: Ints, space: DPMSolverSpace, noise: Noise) -> StepTokens:
    """A step is a solver: the members of its stages and its order, and its part of the lambda axis."""
    groups, orders = space.groups(X), space.orders_of(X)  # (n, K, 3), (n, K), active first
    active = orders > 0
    lengths = active.sum(axis=1)
    steps = int(lengths.max())
    groups, orders, active = groups[:, :steps], orders[:, :steps], active[:, :steps]
    base = space.num_models + 1
    code = groups @ base ** np.arange(GROUP)
    known, what_of = _distinct(code, active)
    members = known[:, None] // base ** np.arange(GROUP) % base  # (U, 3)
    order = (members > 0).sum(axis=1)
    what = LOUD * np.concatenate([np.eye(base)[members].reshape(len(members), -1), np.eye(ORDERS)[order - 1]], axis=1)

    # Solvers divide the axis evenly, so place follows from how many there are, which of them
    # this is, and where sampling ends: earlier with fewer than 15 evaluations.
    early = space.nfe(X) < 15
    index = np.arange(steps)
    code = (lengths[:, None] * 2 + early[:, None]) * steps + index
    known_places, where_of = _distinct(np.where(active, code, 0), active)
    rows, columns = np.unravel_index(_first_of(np.where(active, code, 0), known_places), code.shape)
    count = lengths[rows]
    start = 1 - (columns + 1) / count
    timestep = np.nan_to_num(solver_timesteps(X, space, noise))[rows, columns] / 1000
    where = [
        _waves(start),
        _waves(1 - timestep),
        np.column_stack([np.log(count / 6), 4 / count, ~early[rows]]),
    ]
    ends = np.where(early, time_end(0), time_end(10**6))[rows]
    maps = {key: solver_gains(*key, noise, VARIANCES) for key in {*zip(count.tolist(), ends.tolist(), strict=True)}}
    from_noise = count - 1 - columns
    places = np.stack([maps[k, end][at] for k, end, at in zip(count.tolist(), ends.tolist(), from_noise, strict=True)])
    gains = places[where_of, order[what_of] - 1]  # (n, S, V)
    ratio = log_ratio(gains.prod(axis=1, where=active[:, :, None]), VARIANCES)
    return StepTokens(what, np.concatenate(where, axis=1).astype(float), what_of, where_of, lengths, ratio)


def _waves(place: Array) -> Array:
    """``(U,) -> (U, 1 + 2 WAVES)``: a place in [0, 1] as a line and waves, the shorter the flatter."""
    k = np.arange(1, WAVES + 1)
    angles = np.pi * k * place[:, None]
    return np.concatenate([2 * place[:, None] - 1, np.sin(angles) / k, np.cos(angles) / k], axis=1)


def _distinct(code: Ints, active: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """The distinct codes ``(U,)`` of active steps, and for every step which one it has, 0 where inactive."""
    known = np.unique(code[active])
    return known, np.where(active, np.searchsorted(known, code), 0)


def _first_of(code: Ints, known: Ints) -> Ints:
    """``(U,)``: the first position of each known value in the flattened codes."""
    values, first = np.unique(code, return_index=True)
    return first[np.searchsorted(values, known)]
