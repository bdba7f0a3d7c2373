"""Schedules as sequences of their active steps, each described by numbers, for neural networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omsdpm.solvers import BatchPlan
from predictors.axis import Ints
from predictors.gaussian import VARIANCES, log_ratio

Array = NDArray[np.float64]

WAVES = 4
"""Half waves that a place on an axis is described by: what a step contributes changes slowly along it."""

MEMBER_SCALE = 3.0
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


def step_tokens(batch: BatchPlan) -> StepTokens:
    """Step tokens of a batch plan's schedules; their features do not depend on the rest of the batch."""
    return _grouped_steps(batch) if batch.space.group_size > 1 else _single_steps(batch)


def _single_steps(batch: BatchPlan) -> StepTokens:
    """A step of one evaluation goes from its place to the next one's towards the image, or to the image itself."""
    places, lengths = batch.places, batch.count
    number = len(places.position)
    active = batch.active
    start, end = batch.jumps
    code = (np.take_along_axis(batch.member, batch.image_first, axis=1) * number + start) * number + end
    known, what_of = _distinct(code, active)
    member, place = np.divmod(known, number**2)
    start, end = np.divmod(place, number)

    at, gap = places.position[start], places.position[end] - places.position[start]
    clock, span = places.clock, places.span
    even, even_gap = 1 - clock[start] / span, (clock[start] - clock[end]) / span
    features = [
        np.eye(batch.space.num_models)[member - 1],
        _waves(at),
        _waves(even),
        np.column_stack([np.log(np.maximum(gap, 1e-3)) + 3, 4 * gap, np.log(even_gap) + 2, 4 * even_gap]),
        4 * gap[:, None] * _waves(at),
        4 * even_gap[:, None] * _waves(even),
    ]
    nowhere, nowhere_of = np.zeros((1, 0)), np.zeros_like(what_of)
    ratio = log_ratio(batch.scale(VARIANCES))
    return StepTokens(np.concatenate(features, axis=1), nowhere, what_of, nowhere_of, lengths, ratio)


def _grouped_steps(batch: BatchPlan) -> StepTokens:
    """A step is a solver: the members of its stages and its order, and its part of the lambda axis."""
    space, steps = batch.space, batch.steps
    lengths = (steps.order > 0).sum(axis=1)
    longest = int(lengths.max())
    groups, orders, place = steps.members[:, :longest], steps.order[:, :longest], steps.place[:, :longest]
    active = orders > 0
    base = space.num_models + 1
    powers = base ** np.arange(space.group_size)
    known, what_of = _distinct(groups @ powers, active)
    members = known[:, None] // powers % base  # (U, G)
    order = (members > 0).sum(axis=1)
    of_members = np.eye(base)[members].reshape(len(members), -1)
    what = MEMBER_SCALE * np.concatenate([of_members, np.eye(space.group_size)[order - 1]], axis=1)

    known_places, where_of = _distinct(place, active)
    rows, columns = np.unravel_index(_first_of(np.where(active, place, -1), known_places), place.shape)
    parts = steps.parts[rows, columns]
    where = [
        _waves(steps.start[rows, columns]),
        _waves(1 - steps.timestep[rows, columns] / batch.noise.steps),
        np.column_stack([np.log(parts / 6), 4 / parts, batch.late[rows]]),
    ]
    ratio = log_ratio(batch.scale(VARIANCES))
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
