"""What a schedule's solver would make of Gaussian data, which is known exactly, whatever the networks.

For data of variance ``v`` in some direction, the best prediction of noise there is
``sigma x / (alpha^2 v + sigma^2)``, linear in the noisy ``x``. So with perfect networks sampling
multiplies by a number, and that number tells what the solver's steps alone get wrong
in this direction. What an evaluation's error adds to the image is such a number too: errors
at the noise end are contracted by the steps that follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from omsdpm.noise import Noise
from omsdpm.solvers import USUAL, DDIMSpace, DPMSolverSpace, MultistepSpace, ScheduleSpace, SolverOptions, compile_plans
from omsdpm.solvers.dpm_solver import GROUP, time_end
from omsdpm.solvers.linear_flow import plan_flow
from omsdpm.solvers.plan import Combination
from omsdpm.solvers.slots import NO_SIGNAL
from predictors.axis import Ints, slot_timesteps

Array = NDArray[np.float64]

VARIANCES = np.array([1e-3, 0.016, 0.2, 4.0])
"""Of Gaussian data that schedules are tried on; images in [-1, 1] have directions of all of them."""

SMALLEST_RATIO = 0.02
"""Keeps the logarithm finite where steps happen to cancel."""


@dataclass(frozen=True)
class GaussianFlow:
    """Sampling of Gaussian data of ``V`` variances by ``n`` schedules of at most ``E`` evaluations each.

    Attributes:
        log_ratio: ``(n, V)`` logarithm of the samples' standard deviation over the data's, with perfect networks.
        member: ``(n, E)`` that is evaluated, 0 where none is.
        timestep: ``(n, E)`` model input there, 0 where there is none.
        effect: ``(n, E, V)`` derivative of the sample by the noise that the evaluation predicts.
    """

    log_ratio: Array
    member: Ints
    timestep: Array
    effect: Array


def gaussian_flow(X: Ints, space: ScheduleSpace, noise: Noise, variances: Array) -> GaussianFlow:
    """The flow of canonical schedules ``(n, L)`` for data of ``variances`` ``(V,)``."""
    if isinstance(space, DPMSolverSpace):
        return _solver_flow(X, space, noise, variances)
    if has_closed_form(space, noise):
        return _slot_flow(X, space, noise, variances)
    scale, member, timestep, effect = plan_flow(compile_plans(X, space, noise, USUAL), noise, variances)
    return GaussianFlow(log_ratio(scale, variances), member, timestep, effect)


def has_closed_form(space: ScheduleSpace, noise: Noise) -> bool:
    """Whether a whole batch's flow is known at once: of DDIM and DPM-Solver++ (2M) where every slot has signal."""
    known = type(space) in (DDIMSpace, MultistepSpace)
    return known and bool((noise.alpha(noise.time(slot_timesteps(space))) >= NO_SIGNAL).all())


def ddim_gains(start: tuple[Array, Array], end: tuple[Array, Array], variances: Array) -> Array:
    """What DDIM steps multiply by with perfect networks, from one ``(alpha, sigma)`` ``(U,)`` to another: ``(U, V)``.

    A step is linear and each depends on its ends alone, so a schedule multiplies by the product.
    """
    (alpha, sigma), (next_alpha, next_sigma) = ([level[:, None] for level in levels] for levels in (start, end))
    scale = next_alpha / alpha
    direction = next_sigma - scale * sigma
    return scale + direction * sigma / (alpha**2 * variances + sigma**2)


def solver_gains(number: int, t_end: float, noise: Noise, variances: Array) -> Array:
    """``(number, 3, V)``: what each of ``number`` DPM-Solvers multiplies by, were it of order 1, 2 or 3."""
    orders = range(1, GROUP + 1)
    return np.stack([_solver_maps(number, order, t_end, noise, tuple(variances))[0][:, 0] for order in orders], axis=1)


def log_ratio(scale: Array, variances: Array) -> Array:
    """Logarithm of a standard deviation ``(..., V)`` over the data's."""
    return np.log(np.maximum(np.abs(scale) / np.sqrt(variances), SMALLEST_RATIO))


def _slot_flow(X: Ints, space: ScheduleSpace, noise: Noise, variances: Array) -> GaussianFlow:
    """Of DDIM and DPM-Solver++ (2M), which steps from predictions of data (arXiv:2211.01095, eq. 3.3 and Alg. 2).

    With ``D`` a prediction of data, ``x' = a x + b D + c D_before``; DDIM is the case of ``c = 0``.
    """
    count = (X > 0).sum(axis=1)
    walk = np.argsort(X[:, ::-1] == 0, axis=1, kind="stable")[:, : int(count.max())]  # from the noise end
    member = np.take_along_axis(X[:, ::-1], walk, axis=1)
    active = member > 0
    timestep = np.where(active, slot_timesteps(space)[::-1][walk], 0)
    time = noise.time(np.where(active, timestep, slot_timesteps(space)[0]))
    alpha, sigma = noise.alpha(time), noise.sigma(time)
    last = np.arange(active.shape[1]) == count[:, None] - 1
    next_alpha, next_sigma = (np.roll(of, -1, axis=1) for of in (alpha, sigma))
    lam = np.log(alpha / sigma)
    h = np.roll(lam, -1, axis=1) - lam  # meaningful before the last step, as all that follows
    a = np.where(active & ~last, next_sigma / sigma, 0.0)
    b = np.where(last, 1.0, np.where(active, -next_alpha * np.expm1(-h), 0.0))  # at the end, D is the image
    c = np.zeros_like(b)
    if isinstance(space, MultistepSpace):
        middle = active & ~last
        middle[:, 0] = False
        c[middle] = -0.5 * (b * h)[middle] / np.roll(h, 1, axis=1)[middle]
        b = b - c
    # D = d x - sigma / alpha times the error of the noise.
    variance = alpha[:, :, None] ** 2 * variances + sigma[:, :, None] ** 2
    d = alpha[:, :, None] * variances / variance

    effect = np.zeros((*active.shape, len(variances)))
    # Derivatives of the image: by the state that a step leaves, and by the data predicted before, which it may use.
    by_state, by_before = np.zeros_like(effect[:, 0]), np.zeros_like(effect[:, 0])
    for e in reversed(range(active.shape[1])):
        after = np.where(last[:, e, None], 1.0, by_state)  # a schedule's last step leaves the image
        by_data = after * b[:, e, None] + by_before
        effect[:, e] = -by_data * np.where(active, sigma / alpha, 0.0)[:, e, None]
        by_state, by_before = after * a[:, e, None] + by_data * d[:, e], after * c[:, e, None]
    return GaussianFlow(log_ratio(by_state, variances), member, timestep, effect)


def _solver_flow(X: Ints, space: DPMSolverSpace, noise: Noise, variances: Array) -> GaussianFlow:
    """Of single-step DPM-Solvers; what a step does follows from its order, its number and how many there are."""
    groups, orders = space.groups(X)[:, ::-1], space.orders_of(X)[:, ::-1]  # (n, K, 3), (n, K); from the noise end
    n, solvers = orders.shape
    count, t_end = (orders > 0).sum(axis=1), np.array([time_end(nfe) for nfe in space.nfe(X)])
    maps = np.zeros((n, solvers, 1 + GROUP, len(variances)))
    maps[:, :, 0] = 1
    timestep = np.zeros((n, solvers, GROUP))
    for number, end in sorted({(int(k), float(t)) for k, t in zip(count, t_end, strict=True)}):
        rows = np.flatnonzero((count == number) & (t_end == end))
        for order in range(1, GROUP + 1):
            its_maps, its_times = _solver_maps(number, order, end, noise, tuple(variances))
            row, solver = np.nonzero(orders[rows, -number:] == order)
            at = rows[row], solvers - number + solver
            maps[at], timestep[at] = its_maps[solver], its_times[solver]
    later = np.ones((n, solvers + 1, len(variances)))  # what the steps from each on do
    later[:, :-1] = maps[:, ::-1, 0].cumprod(axis=1)[:, ::-1]
    effect = maps[:, :, 1:] * later[:, 1:, None]
    # Stages in the order of evaluation; the later slot is evaluated first.
    stage = orders[:, :, None] - 1 - np.arange(GROUP)
    member = np.where(stage >= 0, np.take_along_axis(groups, np.maximum(stage, 0), axis=2), 0)
    return GaussianFlow(
        log_ratio(later[:, 0], variances),
        member.reshape(n, -1),
        timestep.reshape(n, -1),
        effect.reshape(n, -1, len(variances)),
    )


@lru_cache(maxsize=256)
def _solver_maps(
    number: int, order: int, t_end: float, noise: Noise, variances: tuple[float, ...]
) -> tuple[Array, Array]:
    """Each of ``number`` solvers of one order: ``(number, 1 + 3, V)`` and the timesteps ``(number, 3)`` of its stages.

    The first number multiplies the state that enters; the others, the errors of its stages.
    """
    schedule = ([1] * order + [0] * (GROUP - order)) * number
    plan = DPMSolverSpace(1, number).plan(schedule, noise, SolverOptions(t_end=t_end))
    inputs = [*(stage.input for stage in plan.stages), plan.closing]
    timestep = np.array([stage.timestep for stage in plan.stages]).reshape(number, order)
    time = noise.time(timestep)
    alpha, sigma = noise.alpha(time)[:, :, None], noise.sigma(time)[:, :, None]
    slope = sigma / (alpha**2 * np.array(variances) + sigma**2)  # (number, order, V)
    unit = np.eye(1 + GROUP)[:, :, None]
    maps = np.zeros((number, 1 + GROUP, len(variances)))
    for solver in range(number):
        first = solver * order
        states: dict[int, Array] = {}
        outputs: dict[int, Array] = {}
        state = unit[0] * np.ones(len(variances))
        for s in range(order):
            states[first + s + 1] = state
            outputs[first + s + 1] = slope[solver, s] * state + unit[1 + s]
            if s + 1 < order:
                state = _combined(inputs[first + s + 1], states, outputs)
        maps[solver] = _combined(inputs[first + order], states, outputs)
    return maps, np.pad(timestep, ((0, 0), (0, GROUP - order)))


def _combined(combination: Combination, states: dict[int, Array], outputs: dict[int, Array]) -> Array:
    terms = [weight * states[number] for number, weight in combination.states]
    terms += [weight * outputs[number] for number, weight in combination.outputs]
    return np.sum(terms, axis=0)
