"""What a build will cost, before it is started."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from omsdpm.errors import InputError
from omsdpm.sampling import count_evaluations, walk_order
from omsdpm.scoring.measurement import Measurement


@dataclass(frozen=True)
class Estimate:
    """The cost of measuring some schedules.

    Attributes:
        schedules: how many.
        one_by_one: network evaluations when every schedule is sampled by itself.
        evaluations: with shared beginnings, in shards.
        seconds_one_by_one, seconds: the same as time on the one device that the zoo's
            latencies were measured on; sampling alone, without scoring.
    """

    schedules: int
    one_by_one: int
    evaluations: int
    seconds_one_by_one: float
    seconds: float

    def devices(self, deadline: float) -> int:
        """Devices like that one to finish within ``deadline`` seconds.

        Raises:
            InputError: a deadline that is not positive.
        """
        if not deadline > 0:
            raise InputError(f"deadline {deadline} s: expected a positive time")
        return max(1, math.ceil(self.seconds / deadline))

    def scaled(self, schedules: int) -> Estimate:
        """The cost of more schedules of the same kind, in proportion.

        An upper bound: the more schedules, the more they share.
        """
        return replace(self.times(schedules / self.schedules), schedules=schedules)

    def times(self, factor: float) -> Estimate:
        """The cost of doing it so many times, a part of a time too: of as many schedules or images as often."""
        return Estimate(
            round(factor * self.schedules),
            round(factor * self.one_by_one),
            round(factor * self.evaluations),
            factor * self.seconds_one_by_one,
            factor * self.seconds,
        )


def total(costs: Iterable[Estimate]) -> Estimate:
    """The cost of all."""
    return Estimate(*(sum(values) for values in zip(*(astuple(cost) for cost in costs), strict=True)))


def estimate(X: ArrayLike, measurement: Measurement, shard_size: int = 50) -> Estimate:
    """Counts the network evaluations of schedules ``(n, L)`` and times them by the zoo's latencies.

    Raises:
        InputError: an invalid schedule, or a zoo that was never profiled.
    """
    m = measurement
    batch = m.space.check(np.asarray(X))
    # From milliseconds of the profiled batch to seconds of all images.
    size = m.latency_card.get("batch_size")
    if size is None:
        raise InputError(
            f"{m.zoo}/latency.toml does not say of how many images its latencies are: add batch_size = N, "
            "or measure with `omsdpm-bench zoo profile`"
        )
    scale = m.images / float(size) / 1000
    table = m.latency
    order = walk_order(batch, space=m.space, noise=m.noise, options=m.options)
    spent = np.zeros(len(table))
    for rows in np.array_split(order, max(1, -(-len(batch) // shard_size))):
        count = count_evaluations(batch[rows], space=m.space, noise=m.noise, options=m.options)
        for member, evaluations in count.by_member.items():
            spent[member - 1] += evaluations
    alone = (batch[:, :, None] == np.arange(1, len(table) + 1)).sum(axis=(0, 1))
    # Of a shared walk it is known how often members are called, not how often they change: as often a call as alone.
    switches = table.switch * float(m.space.switches(batch).sum()) / max(alone.sum(), 1)
    seconds = [float(calls @ (np.array(table) + table.step + switches)) * scale for calls in (alone, spent)]
    return Estimate(len(batch), int(alone.sum()), int(spent.sum()), *seconds)
