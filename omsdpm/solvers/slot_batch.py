"""Batch plans of solvers with one step a slot."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from omsdpm.noise import Array, Noise
from omsdpm.solvers.batch import BatchPlan, Flow, Ints, Places
from omsdpm.solvers.options import end_level
from omsdpm.solvers.plan import NO_SIGNAL

if TYPE_CHECKING:
    from omsdpm.solvers.slots import SlotSpace


class SlotBatch(BatchPlan):
    """Evaluations stand at their slots' timesteps, whatever the rest of the schedule is."""

    space: SlotSpace

    @cached_property
    def walk(self) -> Ints:
        """``(n, E)``: active slots in the order of sampling, 0 after a schedule's last."""
        count = self.count
        row, slot = self.X[:, ::-1].nonzero()
        walk = np.zeros((len(self.X), int(count.max())), dtype=np.int64)
        walk[row, np.arange(len(row)) - (count.cumsum() - count)[row]] = self.space.length - 1 - slot
        return walk

    @cached_property
    def member(self) -> Ints:
        return np.take_along_axis(self.X, self.walk, axis=1) * self.active

    @cached_property
    def timestep(self) -> Array:
        return np.where(self.active, self.space.timesteps[self.walk], 0).astype(float)

    @cached_property
    def places(self) -> Places:
        space = self.space
        room = space.room
        clock = np.concatenate([[0.0], space.timesteps + room])
        of = (self.walk + 1) * self.active
        return Places(of, _axis(space, self.noise), clock, float(clock[-1]))


def slot_lambdas(space: SlotSpace, noise: Noise) -> Array:
    """``(L,)``, falling: ``lambda`` of the slots; one of pure noise gets a slot's room before the others."""
    lambdas = noise.lam(noise.time(space.timesteps))
    finite = lambdas[np.isfinite(lambdas)]
    if not len(finite):
        return np.zeros_like(lambdas)
    room = (finite.max() - finite.min()) / max(len(finite) - 1, 1)
    return np.where(np.isfinite(lambdas), lambdas, finite.min() - room)


@lru_cache(maxsize=64)
def _axis(space: SlotSpace, noise: Noise) -> Array:
    """``(L + 1,)``: positions of the image and of the slots."""
    lambdas = slot_lambdas(space, noise)
    span = max(lambdas[0] - lambdas[-1], 1e-9)
    # The step after the last slot goes to the image, beyond every slot; it gets one slot's room.
    return np.concatenate([[1.0], (lambdas - lambdas[-1]) / span * (1 - 1 / space.length)])


class DataBatch(SlotBatch):
    """Of DDIM and DPM-Solver++ (2M), whose flow is known at once where every slot has signal."""

    second_order = False

    @property
    def _closed_form(self) -> bool:
        time = self.noise.time(self.space.timesteps)
        return not self.options.eta and bool((self.noise.alpha(time) >= NO_SIGNAL).all())

    def flow(self, variances: Array) -> Flow:
        """Steps from predictions of data (arXiv:2211.01095, eq. 3.3 and Alg. 2).

        With ``D`` a prediction of data, ``x' = a x + b D + c D_before``; DDIM is the case of ``c = 0``.
        """
        if not self._closed_form:
            return super().flow(variances)
        member, active, timestep, count = self.member, self.active, self.timestep, self.count
        time = self.noise.time(np.where(active, timestep, self.space.timesteps[0]))
        alpha, sigma = self.noise.alpha(time), self.noise.sigma(time)
        last = np.arange(active.shape[1]) == count[:, None] - 1
        lam = np.log(alpha / sigma)
        ends = end_level(self.noise, self.options.t_end)  # where it is the image, D is it too: a is 0 and b is 1
        next_alpha, next_sigma, next_lam = (
            np.where(last, end, np.roll(of, -1, axis=1)) for end, of in zip(ends, (alpha, sigma, lam), strict=True)
        )
        h = next_lam - lam  # meaningful up to the last step, as all that follows
        a = np.where(active, next_sigma / sigma, 0.0)
        b = np.where(active, -next_alpha * np.expm1(-h), 0.0)
        c = np.zeros_like(b)
        if self.second_order:
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
        return Flow(by_state, member, timestep, effect)


class DDIMBatch(DataBatch):
    """A step depends on its ends alone, so a schedule multiplies by the product of its steps."""

    def scale(self, variances: Array) -> Array:
        if not self._closed_form:
            return super().scale(variances)
        gains = _gains(self.space, self.noise, self.options.t_end, tuple(variances))
        return gains[self.jumps].prod(axis=1, where=self.active[:, :, None])


class MultistepBatch(DataBatch):
    """Of second order from the step before."""

    second_order = True


@lru_cache(maxsize=8)
def _gains(space: SlotSpace, noise: Noise, t_end: float | None, variances: tuple[float, ...]) -> Array:
    """``(L + 1, L + 1, V)``: what a DDIM step from one place to another multiplies by with perfect networks."""
    time = noise.time(space.timesteps)
    end_alpha, end_sigma, _ = end_level(noise, t_end)
    alpha = np.concatenate([[end_alpha], noise.alpha(time)])[:, None, None]
    sigma = np.concatenate([[end_sigma], noise.sigma(time)])[:, None, None]
    next_alpha, next_sigma = alpha.swapaxes(0, 1), sigma.swapaxes(0, 1)
    scale = next_alpha / alpha
    direction = next_sigma - scale * sigma
    return scale + direction * sigma / (alpha**2 * np.array(variances) + sigma**2)
