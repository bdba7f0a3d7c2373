"""Schedules that a user has without predictor or search: single members and stitches of two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.solvers import ScheduleSpace

Schedule = NDArray[np.int64]  # (L,)

STITCH_ORDER = 2


@dataclass(frozen=True, eq=False)
class Baseline:
    """One such schedule."""

    name: str
    """As people would say it: ``member 3, 8 steps``."""
    kind: Literal["single", "stitch"]
    x: Schedule
    """``(L,)``, index 0 = image end."""


def single_member(
    space: ScheduleSpace, member: int, steps: int, *, order: int | None = None, spacing: str | None = None
) -> Schedule:
    """One member at the most uniform ``steps`` slots, ``(L,)``.

    For DPM-Solver ``steps`` network evaluations as solvers of ``order``, and what is left
    over as one solver of lower order at the image end, as DPM-Solver-fast does (Lu et al.,
    arXiv:2206.00927, Sec. 3.4).

    Args:
        space: where the schedule lives.
        member: 1..M.
        steps: network evaluations.
        order: 1 to 3; only DPM-Solver spaces look at it.
        spacing: ``trailing`` makes all jumps equal, the last one to the image included;
            ``leading`` starts at slot 0; ``linspace`` includes both ends. DPM-Solver spaces
            place their solvers themselves.

    Raises:
        InputError: a member, step count, order or spacing that the space does not have.
    """
    return stitch(space, member, member, steps, split=steps, order=order, spacing=spacing)


def stitch(
    space: ScheduleSpace,
    small: int,
    large: int,
    steps: int,
    split: int,
    *,
    order: int | None = None,
    spacing: str | None = None,
) -> Schedule:
    """The slots of :func:`single_member` with two members: ``split`` steps of ``small`` at the
    noise end, the other ``steps - split`` of ``large`` at the image end, ``(L,)``.

    Raises:
        InputError: as for :func:`single_member`, or a split that is not within 0..steps.
    """
    if not 0 <= split <= steps:
        raise InputError(f"split {split} of {steps} steps: expected 0 to {steps} steps of the small member")
    x = np.zeros(space.length, dtype=np.int64)
    slots = space.even_slots(steps, order, spacing)  # rising: from the image end to the noise end
    x[slots] = np.where(np.arange(steps) < steps - split, large, small)
    return space.check(x)[0]


def all_baselines(space: ScheduleSpace, latency: Sequence[float], budgets: Iterable[float]) -> list[Baseline]:
    """What a careful user would try under each budget, without repetition.

    Every member alone at the most steps that fit, in every spacing or order. Every pair
    of a faster and a slower member at every split to which no step of either can be added
    (trailing spacing; for DPM-Solver order 2, the best of one member's orders at the 9 to
    18 evaluations that budgets are about).

    Args:
        space: where the schedules live.
        latency: ms a member, ``(M,)``.
        budgets: ms.
    """
    found: dict[bytes, Baseline] = {}
    for budget in budgets:
        for baseline in _under(space, latency, budget):
            found.setdefault(space.canonical(baseline.x).tobytes(), baseline)
    return list(found.values())


def _under(space: ScheduleSpace, latency: Sequence[float], budget: float) -> Iterator[Baseline]:
    members = range(1, space.num_models + 1)
    grouped = len(space.orders) > 1
    for order in space.orders:
        room = space.most_steps(order)
        tail = f", order {order}" if grouped else ""
        for member in members:
            steps = _affordable(space, latency, budget, room, member)
            for spacing in space.placings if steps else ():
                x = single_member(space, member, steps, order=order, spacing=spacing)
                note = "" if spacing == space.placings[0] else f", {spacing}"
                yield Baseline(f"member {member}, {_plural(steps)}{tail}{note}", "single", x)
        if grouped and order != STITCH_ORDER:
            continue
        for small in members:
            for large in members:
                if latency[small - 1] >= latency[large - 1]:
                    continue
                for split, steps in _splits(space, latency, budget, room, small, large):
                    x = stitch(space, small, large, steps, split, order=order)
                    name = f"member {small} {_plural(split)}, then member {large} {_plural(steps - split)}{tail}"
                    yield Baseline(name, "stitch", x)


def _splits(
    space: ScheduleSpace, latency: Sequence[float], budget: float, room: int, small: int, large: int
) -> Iterator[tuple[int, int]]:
    """(split, steps) of the stitches of a pair that fit, and to which no step can be added."""
    splits = range(1, room + 1)
    steps = [_affordable(space, latency, budget, room, large, small, split) for split in splits]
    large_steps = [total - split for split, total in zip(splits, steps, strict=True)]
    for split, here, after in zip(splits, large_steps, [*large_steps[1:], 0], strict=True):
        # One more step of the small member either leaves room for as many of the large, and
        # then that stitch is the better one, or costs a step of the large.
        if here > max(after, 0):
            yield split, split + here


def _affordable(
    space: ScheduleSpace,
    latency: Sequence[float],
    budget: float,
    room: int,
    member: int,
    small: int = 1,
    split: int = 0,
) -> int:
    """Most steps, ``split`` of them of ``small`` and the rest of ``member``, that fit; 0 if none do."""
    steps = np.arange(max(split, 1), room + 1)
    at = np.arange(space.length)
    candidates = np.where(at < split, small, member) * (at < steps[:, None])  # costs do not depend on the order
    fitting = steps[space.latency(candidates, latency) <= budget]
    return int(fitting.max()) if len(fitting) else 0


def _plural(steps: int) -> str:
    return f"{steps} step" if steps == 1 else f"{steps} steps"
