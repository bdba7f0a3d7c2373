"""Schedules on the time axis: where each network evaluation stands, in noise and in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.solvers import DPMSolverSpace, ScheduleSpace, SlotSpace
from omsdpm.solvers.dpm_solver import GROUP, time_end

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """The ``E = max nfe`` evaluations of ``n`` schedules in the order of sampling, noise end first.

    Attributes:
        member: ``(n, E)``, 0 after a schedule's last evaluation.
        position: ``(n, E)`` on the lambda axis, 0 at the noise end and 1 at the image end;
            1 after the last evaluation.
        order: ``(n, E)`` order of the solver step that the evaluation belongs to, 0 after the last.
    """

    member: Ints
    position: Array
    order: Ints

    @property
    def active(self) -> NDArray[np.bool_]:
        """``(n, E)``: there is an evaluation."""
        return self.member > 0

    @property
    def gaps(self) -> Array:
        """``(n, E)``: how far lambda moves from each evaluation to the next, or to the image."""
        following = np.concatenate([self.position[:, 1:], np.ones((len(self.position), 1))], axis=1)
        return np.where(self.active, following - self.position, 0.0)


def slot_timesteps(space: ScheduleSpace) -> Ints:
    """``(L,)``: the model-input timesteps of the slots of a space with one step a slot.

    Raises:
        InputError: a space of another kind.
    """
    if isinstance(space, SlotSpace):
        return space.timesteps
    raise InputError(f"no time axis for {space}: predictors know DDIM, multistep and DPM-Solver spaces")


def slot_lambdas(space: ScheduleSpace, noise: Noise) -> Array:
    """``(L,)``, falling: ``lambda`` of the slots; one of pure noise gets a slot's room before the others."""
    lambdas = noise.lam(noise.time(slot_timesteps(space)))
    finite = lambdas[np.isfinite(lambdas)]
    if not len(finite):
        return np.zeros_like(lambdas)
    room = (finite.max() - finite.min()) / max(len(finite) - 1, 1)
    return np.where(np.isfinite(lambdas), lambdas, finite.min() - room)


def steps_of(X: Ints, space: ScheduleSpace, noise: Noise) -> Steps:
    """The evaluations of canonical schedules ``(n, L)``."""
    if isinstance(space, DPMSolverSpace):
        position, order = _solver_positions(X, space, noise)
    else:
        lambdas = slot_lambdas(space, noise)
        span = max(lambdas[0] - lambdas[-1], 1e-9)
        # The step after the last slot goes to the image, beyond every slot; it gets one slot's room.
        slots = (lambdas - lambdas[-1]) / span * (1 - 1 / space.length)
        position, order = np.broadcast_to(slots, X.shape), np.ones_like(X)
    walk = np.argsort(X[:, ::-1] == 0, axis=1, kind="stable")[:, : int(space.nfe(X).max())]

    def walked(values: NDArray) -> NDArray:
        return np.take_along_axis(values[:, ::-1], walk, axis=1)

    member = walked(X)
    return Steps(
        member,
        np.where(member > 0, walked(position), 1.0),
        np.where(member > 0, walked(order), 0),
    )


def _solver_positions(X: Ints, space: DPMSolverSpace, noise: Noise) -> tuple[Array, Ints]:
    """Positions and orders ``(n, L)`` of the slots; solvers divide the axis evenly, and stages a solver."""
    orders = space.orders_of(X)  # (n, K), active first
    active = (orders > 0).sum(axis=1, keepdims=True)
    from_image = np.arange(1, space.num_solvers + 1)
    start = 1 - from_image / active  # (n, K), of each solver, at its noise side
    stage = orders[:, :, None] - 1 - np.arange(GROUP)  # the later slot is evaluated first
    position = start[:, :, None] + stage / np.maximum(orders, 1)[:, :, None] / active[:, :, None]
    # With few evaluations sampling stops earlier, which shortens the axis for all of them.
    start_lambda, *ends = noise.lam([noise.t_start, time_end(0), time_end(10**6)])
    shorter = np.where(space.nfe(X) >= 15, 1.0, (ends[0] - start_lambda) / (ends[1] - start_lambda))
    position = position * shorter[:, None, None]
    return position.reshape(X.shape), np.repeat(orders, GROUP, axis=1)


def piecewise(steps: Steps, values: NDArray, grid: Array) -> NDArray:
    """``(n, E), (Q,) -> (n, Q)``: the value of the last evaluation at or before each grid position.

    Before the first evaluation nothing has moved yet, so its own value holds there.
    """
    count = (steps.position[:, :, None] <= grid) & steps.active[:, :, None]
    last = np.maximum(count.sum(axis=1) - 1, 0)
    return np.take_along_axis(values, last, axis=1)
