"""What a solver makes of many schedules at once: where their evaluations stand, and what their errors do.

Predictors, strategies and plots read a solver off its batch plan and never ask which solver it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.noise import Array, Noise
from omsdpm.solvers.linear_flow import plan_flow
from omsdpm.solvers.options import USUAL, SolverOptions
from omsdpm.solvers.plan import Plan

if TYPE_CHECKING:
    from omsdpm.solvers.space import Schedules, ScheduleSpace

Ints = NDArray[np.int64]

NEAR_IMAGE = 1e-3
"""Time at which the lambda axis of a solver that names none of its own ends."""


@dataclass(frozen=True)
class Flow:
    """Sampling of Gaussian data of ``V`` variances by ``n`` schedules of at most ``E`` evaluations each.

    Attributes:
        scale: ``(n, V)`` standard deviation of the samples, from noise of 1, with perfect networks; its sign
            is that of the starting noise in them.
        member: ``(n, E)`` that is evaluated, 0 where none is.
        timestep: ``(n, E)`` model input there, 0 where there is none.
        effect: ``(n, E, V)`` derivative of the sample by what the evaluation predicts.
    """

    scale: Array
    member: Ints
    timestep: Array
    effect: Array


@dataclass(frozen=True)
class Places:
    """Places on the axis that steps of one evaluation begin at, each named by a number; 0 is the image.

    Attributes:
        of: ``(n, E)`` place of each evaluation in the order of sampling, 0 after a schedule's last.
        position: ``(P,)`` of the places on the lambda axis, 0 at the noise end and 1 at the image.
        clock: ``(P,)`` of the places in timesteps from the image.
        span: the noisiest place's ``clock``, at least.
    """

    of: Ints
    position: Array
    clock: Array
    span: float


@dataclass(frozen=True)
class Steps:
    """Steps of several evaluations: at most ``K`` of each of ``n`` schedules, image end first.

    Attributes:
        members: ``(n, K, G)`` of a step's stages by slot, of which the later is evaluated first; 0 for none.
        order: ``(n, K)`` evaluations, 0 after a schedule's last step.
        start: ``(n, K)`` of the step's noise side on its schedule's own lambda axis, 0 noise and 1 image.
        parts: ``(n, K)`` one over the step's width on that axis.
        fraction: ``(n, K, G)`` how far into the step each stage is, 0 at its noise side.
        timestep: ``(n, K)`` model input at the step's image side.
        place: ``(n, K)`` steps of equal numbers are equal in ``start``, ``parts`` and ``timestep``.
    """

    members: Ints
    order: Ints
    start: Array
    parts: Array
    fraction: Array
    timestep: Array
    place: Ints


class BatchPlan:
    """The evaluations of ``n`` schedules, at most ``E`` each, in the order of sampling: noise end first.

    This class reads everything off the plans, for any solver; a solver that knows it for a whole batch
    overrides it. Nothing depends on which other schedules are in the batch but the numbers of places.

    Args:
        X: ``(n, L)`` valid, canonical schedules.
        space: theirs.
        noise: the schedule that the solver runs on (:meth:`~omsdpm.solvers.ScheduleSpace.solver_noise`).
        options: of the solver.
    """

    def __init__(self, X: Schedules, space: ScheduleSpace, noise: Noise, options: SolverOptions = USUAL) -> None:
        self.X, self.space, self.noise, self.options = X, space, noise, options

    # -- evaluations -----------------------------------------------------------------

    @cached_property
    def count(self) -> Ints:
        """``(n,)``: evaluations of each schedule."""
        return self.space.nfe(self.X)

    @cached_property
    def member(self) -> Ints:
        """``(n, E)``: 0 after a schedule's last evaluation."""
        return self._padded([plan.models for plan in self._plans], np.int64)

    @cached_property
    def timestep(self) -> Array:
        """``(n, E)``: model inputs, 0 after a schedule's last evaluation."""
        return self._padded([[stage.timestep for stage in plan.stages] for plan in self._plans], float)

    @cached_property
    def active(self) -> NDArray[np.bool_]:
        """``(n, E)``: there is an evaluation."""
        return np.arange(int(self.count.max())) < self.count[:, None]

    @property
    def lam(self) -> Array:
        """``(n, E)``: lambda of each evaluation; 0 after a schedule's last."""
        return np.where(self.active, self.noise.lam(self.noise.time(self.timestep)), 0.0)

    @cached_property
    def position(self) -> Array:
        """``(n, E)``: on the lambda axis, 0 at the noise end and 1 at the image end; 1 after the last evaluation."""
        return self.places.position[self.places.of]

    @cached_property
    def order(self) -> Ints:
        """``(n, E)``: of the solver step that the evaluation belongs to, 0 after the last one."""
        if self.space.group_size == 1:
            return self.active.astype(np.int64)
        return self._of_steps(self.steps.order)

    @property
    def width(self) -> Array:
        """``(n, E)``: how far lambda moves on its axis from each evaluation to the next, or to the image."""
        following = np.concatenate([self.position[:, 1:], np.ones((len(self.position), 1))], axis=1)
        return np.where(self.active, following - self.position, 0.0)

    # -- steps -----------------------------------------------------------------------

    @cached_property
    def places(self) -> Places:
        """Where evaluations are, on two axes."""
        known = np.unique(self.timestep[self.active])
        of = np.where(self.active, 1 + np.searchsorted(known, self.timestep), 0)
        steps, room = self.noise.steps, 1 / self.space.length
        # The step after the last evaluation goes to the image, beyond every place; it gets a slot's room.
        position = np.concatenate([[1.0], self._on_axis(self.noise.time(known)) * (1 - room)])
        return Places(of, position, np.concatenate([[0.0], known + room * steps]), steps * (1 + room))

    @cached_property
    def image_first(self) -> Ints:
        """``(n, E)``: numbers of the evaluations from the last to the first, 0 after a schedule's last."""
        return np.maximum(self.count[:, None] - 1 - np.arange(self.active.shape[1]), 0)

    @cached_property
    def jumps(self) -> tuple[Ints, Ints]:
        """``(n, E)`` each: the places that steps start from and go to, image end first."""
        start = np.take_along_axis(self.places.of, self.image_first, axis=1)
        return start, np.concatenate([np.zeros((len(start), 1), dtype=np.int64), start[:, :-1]], axis=1)

    @cached_property
    def steps(self) -> Steps:
        """Steps of several evaluations, for a solver whose slots come in groups."""
        group = self.space.group_size
        groups = self.X.reshape(len(self.X), -1, group)
        packed = np.argsort(~groups.any(axis=2), axis=1, kind="stable")
        members = np.take_along_axis(groups, packed[:, :, None], axis=1)
        order = np.count_nonzero(members, axis=2)  # (n, K), image end first
        after = order[:, ::-1].cumsum(axis=1)[:, ::-1] - order  # evaluations before each step's first
        ends = np.concatenate([self.position, np.ones((len(self.X), 1))], axis=1)
        last = ends.shape[1] - 1
        start = np.take_along_axis(ends, np.minimum(after, last), axis=1)
        width = np.take_along_axis(ends, np.minimum(after + order, last), axis=1) - start
        inputs = np.concatenate([self.timestep, np.zeros((len(self.X), 1))], axis=1)
        timestep = np.take_along_axis(inputs, np.minimum(after + order, last), axis=1)
        stage = np.minimum(after[:, :, None] + np.maximum(order[:, :, None] - 1 - np.arange(group), 0), last)
        positions = np.take_along_axis(ends[:, None, :], stage, axis=2)
        fraction = (positions - start[:, :, None]) / np.maximum(width, 1e-9)[:, :, None]
        parts = 1 / np.maximum(width, 1e-9)
        _, place = np.unique(np.stack([start, width, timestep], axis=2).reshape(-1, 3), axis=0, return_inverse=True)
        start = np.where(order > 0, start, 0.0)
        return Steps(members, order, start, parts, fraction, timestep, place.reshape(order.shape))

    @property
    def late(self) -> NDArray[np.bool_]:
        """``(n,)``: sampling goes on to the nearer of the solver's ends, where it has two."""
        return np.ones(len(self.X), dtype=bool)

    def time_at(self, position: Array) -> Array:
        """``(n, K)`` positions on the schedules' own lambda axes, as times: 0 at the noise end, 1 at the image."""
        start, end = self.noise.lam([self.noise.t_start, NEAR_IMAGE * self.noise.t_start])
        return 1 - self.noise.inverse_lambda(start + position * (end - start)) / self.noise.t_start

    # -- what errors do --------------------------------------------------------------

    def flow(self, variances: Array) -> Flow:
        """What sampling makes of Gaussian data of ``variances`` ``(V,)``, and what evaluations' errors add.

        For data of variance ``v`` in some direction, the best prediction of noise there is
        ``sigma x / (alpha^2 v + sigma^2)``, linear in the noisy ``x``. So with perfect networks sampling
        multiplies by a number, and that number tells what the solver's steps alone get wrong
        in this direction. What an evaluation's error adds to the image is such a number too: errors
        at the noise end are contracted by the steps that follow.
        """
        return Flow(*plan_flow(self._plans, self.noise, variances))

    def scale(self, variances: Array) -> Array:
        """``(n, V)``: :attr:`Flow.scale` alone, which may be had for less."""
        return self.flow(variances).scale

    # -- shared parts ----------------------------------------------------------------

    @cached_property
    def _plans(self) -> list[Plan]:
        return [self.space.plan(row, self.noise, self.options) for row in self.X.tolist()]

    def _padded(self, rows: list[Any], dtype: type) -> NDArray[Any]:
        padded: NDArray[Any] = np.zeros((len(rows), int(self.count.max())), dtype=dtype)
        for row, values in zip(padded, rows, strict=True):
            row[: len(values)] = values
        return padded

    def _of_steps(self, values: NDArray[Any]) -> NDArray[Any]:
        """``(n, K)`` of steps, image end first, as ``(n, E)`` of their evaluations in the order of sampling."""
        row, step = np.nonzero(self.steps.order[:, ::-1])
        repeated = np.repeat(values[:, ::-1][row, step], self.steps.order[:, ::-1][row, step])
        spread = np.zeros((len(self.X), int(self.count.max())), dtype=values.dtype)
        spread[self.active] = repeated
        return spread

    def _on_axis(self, time: Array) -> Array:
        """Positions of times on the lambda axis, from the noisiest one to one near the image."""
        start, end = self.noise.lam([self.noise.t_start, NEAR_IMAGE * self.noise.t_start])
        return np.clip((self.noise.lam(time) - start) / (end - start), 0.0, 1.0)
