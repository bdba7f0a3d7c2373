"""A covariance of schedules: sets of steps, compared through sums of their features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omsdpm.solvers import BatchPlan
from omsdpm.solvers.batch import Flow
from predictors.axis import Ints
from predictors.gaussian import VARIANCES, log_ratio

Array = NDArray[np.float64]

HALF_WAVES = 4
"""Finest of the waves along an axis that tell where a step is."""

TYPICAL_GAP = 0.2
"""Of an axis; brings gaps to the size of the other features."""

SMALLEST_GAP = 0.02
"""Of an axis; keeps logarithms of gaps finite."""

FLOW_HALF_WAVES = 3
"""Finest of the waves in time that tell where an evaluation has its effect on Gaussian data."""

JITTER = 1e-10
"""Of the mean variance, on the diagonal; duplicate schedules stay solvable whatever the weights."""


@dataclass(frozen=True)
class StepTable:
    """The steps of ``n`` schedules, at most ``S`` each: of DDIM, or DPM-Solvers and evaluations.

    Attributes:
        kind: ``(n, S, C)`` what a step does; zero where there is none.
        kind_factors: the ``C`` columns' factors; columns of one share a weight.
        place: ``(n, S, 2)`` where it is on the lambda axis and in time, 0 noise and 1 image.
        gap: ``(n, S, 2)`` two measures of how far it goes; of one step a slot, along each axis.
        whole: ``(n, W)`` features of the schedule that are no sum over steps.
        whole_factors: the ``W`` columns' factors.
    """

    kind: Array
    kind_factors: list[str]
    place: Array
    gap: Array
    whole: Array
    whole_factors: list[str]


def kernel_coordinates(batch: BatchPlan) -> tuple[Array, list[tuple[str, ...]]]:
    """The ``n`` schedules of a batch plan as coordinates ``(n, F)`` and the ``F`` coordinates' factors.

    A coordinate is the sum over steps of (kind) x (gap) x (place), each one of its few
    features, as in a product kernel on steps; so linear functions of the coordinates are
    sums over steps of what a member's step costs at its place and width. Then come the
    same sums over evaluations of what their errors add to Gaussian data, and the solver's own
    errors on it. Coordinates of equal factors belong together; their weight is the product of the
    factors' weights.
    """
    space = batch.space
    table = _grouped_table(batch) if space.group_size > 1 else _slot_table(batch)
    place = np.concatenate([_waves(table.place[:, :, axis], HALF_WAVES)[:, :, axis > 0 :] for axis in range(2)], axis=2)
    place_factors = ["anywhere", *(f"wave {k} of axis {axis}" for axis in range(2) for k in _twice(HALF_WAVES))]
    gap = np.concatenate([np.ones_like(table.gap[:, :, :1]), table.gap / TYPICAL_GAP], axis=2)
    gap_factors = ["any gap", "gap of axis 0", "gap of axis 1"]
    kind_and_gap = (table.kind[:, :, :, None] * gap[:, :, None, :]).reshape(*table.kind.shape[:2], -1)  # (n, S, C * 3)
    sums = np.matmul(kind_and_gap.swapaxes(1, 2), place).reshape(len(batch.X), -1)
    factors: list[tuple[str, ...]] = [(k, g, p) for k in table.kind_factors for g in gap_factors for p in place_factors]
    factors += [(w,) for w in table.whole_factors]
    flow, flow_factors = _flow_coordinates(batch.flow(VARIANCES), space.num_models, batch.noise.steps)
    return np.concatenate([sums, table.whole, flow], axis=1), factors + flow_factors


def _flow_coordinates(flow: Flow, num_models: int, steps: int) -> tuple[Array, list[tuple[str, ...]]]:
    """``(n, G)``: (member) x (effect, or its square) x (time), summed over evaluations, and the solver's ratios."""
    member = _one_hot(flow.member, num_models)  # (n, E, M)
    effect = np.concatenate([flow.effect, flow.effect**2], axis=2)
    time = _waves(flow.timestep / steps, FLOW_HALF_WAVES)
    place = (effect[:, :, :, None] * time[:, :, None, :]).reshape(*effect.shape[:2], -1)  # (n, E, 2 V * P)
    sums = np.matmul(member.swapaxes(1, 2), place).reshape(len(member), -1)
    effects = [f"{what} on variance {v}" for what in ("effect", "squared effect") for v in VARIANCES]
    times = ["any time", *(f"wave {k} in time" for k in _twice(FLOW_HALF_WAVES))]
    factors: list[tuple[str, ...]] = [
        (f"member {k}", e, t) for k in range(1, num_models + 1) for e in effects for t in times
    ]
    return np.concatenate([sums, log_ratio(flow.scale)], axis=1), factors + [
        (f"ratio of variance {v}",) for v in VARIANCES
    ]


def _waves(place: Array, half_waves: int) -> Array:
    """``(...,) -> (..., 1 + 2 half_waves)``: one, then cosines and sines of a place in [0, 1]."""
    angles = np.pi * np.arange(1, half_waves + 1) * place[..., None]
    waves = np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(*place.shape, -1)
    return np.concatenate([np.ones_like(place)[..., None], waves], axis=-1)


def _twice(half_waves: int) -> list[int]:
    """The numbers of the waves of :func:`_waves`, a cosine and a sine each."""
    return [k for k in range(1, half_waves + 1) for _ in range(2)]


def _slot_table(batch: BatchPlan) -> StepTable:
    """Steps of one evaluation; the second axis counts time steps evenly."""
    active, count, num_models = batch.active, batch.count, batch.space.num_models
    time = np.where(active, (batch.places.span - batch.places.clock[batch.places.of]) / batch.places.span, 1.0)
    time_gap = np.where(active, np.diff(time, axis=1, append=1.0), 0.0)
    gap = batch.width
    member = _one_hot(batch.member, num_models)  # (n, S, M)
    rows, last = np.arange(len(count)), count - 1
    ends = [
        count[:, None],
        batch.position[:, :1] + 0.05,
        time[:, :1] + 0.05,
        np.maximum(gap[rows, last], SMALLEST_GAP)[:, None],
        time_gap[rows, last][:, None] + SMALLEST_GAP,
    ]
    names = ["count", "first place", "first time", "last gap", "last time gap"]
    return StepTable(
        np.concatenate([active[:, :, None], member], axis=2).astype(float),
        ["step", *(f"member {k}" for k in range(1, num_models + 1))],
        np.stack([batch.position, time], axis=2),
        np.stack([gap, time_gap], axis=2),
        np.concatenate([np.log(np.concatenate(ends, axis=1)), member[:, 0], member[rows, last]], axis=1),
        [*names, *["first member"] * num_models, *["last member"] * num_models],
    )


def _grouped_table(batch: BatchPlan) -> StepTable:
    """Solvers at their middles, then evaluations each at its own place; gaps are the whole solver's.

    The first gap measures what a solver of its order leaves: the time it spans, times
    its width in lambda to the power of its order. The second is that time alone.
    """
    steps, time = batch.steps, batch.time_at
    num_models, group = batch.space.num_models, batch.space.group_size
    orders, start, width = steps.order, steps.start, 1 / steps.parts  # (n, K)
    active, count = orders > 0, (orders > 0).sum(axis=1)
    span = time(np.minimum(start + width, 1.0)) - time(start)
    gap = np.stack([span * (width / TYPICAL_GAP) ** orders, span], axis=2)
    order, stages = _one_hot(orders, group), range(group)
    # The later stage is evaluated first; where an order has no such stage, its kind is zero.
    evaluated = [start + width * steps.fraction[:, :, s] for s in stages]
    members = [_one_hot(steps.members[:, :, s], num_models) for s in stages]  # (n, K, M) each
    of_solver = np.concatenate([active[:, :, None], order], axis=2)
    none = np.zeros_like(members[0])
    kinds = [np.concatenate([of_solver, *[none] * (group + 1)], axis=2)]
    for s in stages:  # each in columns of its own, and in those of evaluations at any stage
        own = [members[s] if s == other else none for other in stages]
        kinds.append(np.concatenate([np.zeros_like(of_solver), *own, members[s]], axis=2))
    places = [start + width / 2, *evaluated]
    numbers = range(1, num_models + 1)
    kind_factors = ["step", *["order"] * group]
    kind_factors += [f"member {k} ends" for k in numbers]  # the last evaluated stage, which alone every order has
    kind_factors += [f"stage {s}" for s in stages[1:] for _ in numbers] + [f"member {k}" for k in numbers]
    rows, first = np.arange(len(orders)), count - 1
    each = np.concatenate([*members, orders[:, :, None]], axis=2)
    sizes = np.log(np.column_stack([count, batch.count]))
    whole = [sizes, batch.late[:, None], order.sum(axis=1) / count[:, None]]
    whole_factors = ["count", "nfe", "end", *["orders"] * group]
    whole_factors += [*["last solver"] * each.shape[2], *["first solver"] * each.shape[2]]
    return StepTable(
        np.concatenate(kinds, axis=1),
        kind_factors,
        np.concatenate([np.stack([place, time(place)], axis=2) for place in places], axis=1),
        np.concatenate([gap] * len(places), axis=1),
        np.concatenate([*whole, each[:, 0], each[rows, first]], axis=1).astype(float),
        whole_factors,
    )


def _one_hot(values: Ints, most: int) -> Array:
    """``(...,) -> (..., most)``: indicators of the values from 1 to ``most``."""
    return (values[..., None] == np.arange(1, most + 1)).astype(float)


class StepKernel:
    """Matérn 5/2 on weighted coordinates plus a linear kernel on them.

    ``k(x, x') = s_m (1 + a + a^2 / 3) exp(-a) + s_l (1 + <f, f'>)`` with ``a = sqrt(5) |f - f'|``
    (Rasmussen and Williams, 2006, eq. 4.17), where ``f`` are the coordinates, standardized
    by the training schedules in groups of equal factors and multiplied by square roots
    of weights. A group's weight is the product of its factors' weights, so dozens
    of hyperparameters weigh hundreds of groups: a length scale for each member, each wave
    of an axis, each gap feature.

    Hyperparameters are a vector ``theta`` ``(H,)`` of logarithms: the factors' weights, then
    ``s_m``, ``s_l`` and the variance of measurement noise.

    Args:
        coordinates: ``(n, F)`` of the training schedules.
        factors: ``(F,)``, of :func:`kernel_coordinates`.
    """

    def __init__(self, coordinates: Array, factors: list[tuple[str, ...]]) -> None:
        groups = {group: g for g, group in enumerate(dict.fromkeys(factors))}
        names = {name: h for h, name in enumerate(dict.fromkeys(name for group in groups for name in group))}
        self.group = np.array([groups[group] for group in factors])  # (F,)
        self.design = np.zeros((len(groups), len(names)))
        for group, g in groups.items():
            self.design[g, [names[name] for name in group]] = 1
        self.center = coordinates.mean(axis=0)
        variance = np.bincount(self.group, ((coordinates - self.center) ** 2).mean(axis=0))
        # What never varied in training has no scale of its own, as a member not seen.
        self.scale = np.sqrt(np.where(variance > 1e-12, variance, 1.0))[self.group]
        self.start = np.r_[np.zeros(len(names)), np.log([1.0, 0.3, 0.02])]
        self.bounds = [(-8.0, 8.0)] * len(names) + [(-7.0, 7.0), (-9.0, 5.0), (-12.0, 1.0)]

    def embed(self, coordinates: Array, theta: Array) -> Array:
        """``(n, F) -> (n, F)``: weighted standardized coordinates."""
        weights = np.exp(self.design @ theta[:-3]) / len(self.design)  # (G,)
        return (coordinates - self.center) / self.scale * np.sqrt(weights)[self.group]

    def __call__(self, f: Array, g: Array, theta: Array) -> Array:
        """``(n, F), (m, F) -> (n, m)``: covariances of embeddings, without noise."""
        matern, linear = np.exp(theta[-3:-1])
        return matern * _matern(_squared_distance(f, g))[0] + linear * (1 + f @ g.T)

    def diagonal(self, f: Array, theta: Array) -> Array:
        """``(n, F) -> (n,)``: variances of embeddings, without noise."""
        matern, linear = np.exp(theta[-3:-1])
        return matern + linear * (1 + (f**2).sum(axis=1))

    def covariance(self, f: Array, theta: Array) -> Array:
        """``(n, F) -> (n, n)``: of measurements, with noise on the diagonal."""
        K = self(f, f, theta)
        variance = self.diagonal(f, theta)
        K[np.diag_indices(len(f))] = variance + np.exp(theta[-1]) + JITTER * variance.mean()
        return K

    def gradient(self, f: Array, theta: Array, slope: Array) -> Array:
        """Derivative by ``theta`` ``(H,)`` of a function whose derivative by the covariance is ``slope`` ``(n, n)``.

        Needs no array of n x n for each hyperparameter: with ``W`` the slope by squared distances,
        ``sum_ij W_ij (f_ic - f_jc)^2 = 2 sum_i f_ic (f_ic sum_j W_ij - (W f)_ic)``.
        """
        matern, linear, noise = np.exp(theta[-3:])
        values, by_distance = _matern(_squared_distance(f, f))
        W = matern * by_distance * slope
        moved = f * (2 * f * W.sum(axis=1)[:, None] - 2 * W @ f + linear * slope @ f)
        weights = np.bincount(self.group, moved.sum(axis=0))
        tail = [matern * (slope * values).sum(), linear * (slope * (1 + f @ f.T)).sum(), noise * np.trace(slope)]
        return np.r_[self.design.T @ weights, tail]


def _matern(squared: Array) -> tuple[Array, Array]:
    """Matérn 5/2 of squared distances, and its derivative by them."""
    a = np.sqrt(5 * squared)
    decay = np.exp(-a)
    return (1 + a + a**2 / 3) * decay, -5 / 6 * (1 + a) * decay


def _squared_distance(f: Array, g: Array) -> Array:
    """``(n, F), (m, F) -> (n, m)``, never negative."""
    return np.maximum((f**2).sum(axis=1)[:, None] + (g**2).sum(axis=1) - 2 * f @ g.T, 0)
