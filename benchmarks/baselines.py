"""Schedules that a user has without predictor or search: single members and stitches of two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.solvers import DPMSolverSpace, ScheduleSpace
from omsdpm.solvers.dpm_solver import GROUP

Schedule = NDArray[np.int64]  # (L,)

Spacing = Literal["trailing", "leading", "linspace"]
SPACINGS: tuple[Spacing, ...] = ("trailing", "leading", "linspace")
"""Ways to take some of the steps uniformly, by diffusers' names (Lin et al., arXiv:2305.08891, Table 2)."""

ORDERS = tuple(range(1, GROUP + 1))
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
    space: ScheduleSpace, member: int, steps: int, *, order: int = GROUP, spacing: Spacing = "trailing"
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
    order: int = GROUP,
    spacing: Spacing = "trailing",
) -> Schedule:
    """The slots of :func:`single_member` with two members: ``split`` steps of ``small`` at the
    noise end, the other ``steps - split`` of ``large`` at the image end, ``(L,)``.

    Raises:
        InputError: as for :func:`single_member`, or a split that is not within 0..steps.
    """
    if not 0 <= split <= steps:
        raise InputError(f"split {split} of {steps} steps: expected 0 to {steps} steps of the small member")
    x = np.zeros(space.length, dtype=np.int64)
    slots = _slots(space, steps, order, spacing)  # rising: from the image end to the noise end
    x[slots] = np.where(np.arange(steps) < steps - split, large, small)
    return space.check(x)[0]


def most_steps(space: ScheduleSpace, order: int = GROUP) -> int:
    """Most network evaluations that :func:`single_member` can place with solvers of ``order``."""
    return order * (space.length // GROUP) if isinstance(space, DPMSolverSpace) else space.length


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
    grouped = isinstance(space, DPMSolverSpace)
    for order in ORDERS if grouped else (1,):
        room = most_steps(space, order)
        tail = f", order {order}" if grouped else ""
        for member in members:
            steps = _affordable(space, latency, budget, room, member)
            for spacing in SPACINGS[:1] if grouped or not steps else SPACINGS:
                if steps:
                    x = single_member(space, member, steps, order=order, spacing=spacing)
                    note = "" if spacing == SPACINGS[0] else f", {spacing}"
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


def _slots(space: ScheduleSpace, steps: int, order: int, spacing: Spacing) -> NDArray[np.int64]:
    """``(steps,)`` slots, rising."""
    if order not in ORDERS:
        raise InputError(f"order {order}: DPM-Solver has orders {', '.join(map(str, ORDERS))}")
    if spacing not in SPACINGS:
        raise InputError(f"spacing {spacing!r}: choose one of {', '.join(SPACINGS)}")
    room = most_steps(space, order)
    if not 1 <= steps <= room:
        raise InputError(f"{steps} steps: {space} takes 1 to {room}")
    if isinstance(space, DPMSolverSpace):
        rest = steps % order
        orders = [rest] * bool(rest) + [order] * (steps // order)
        return np.concatenate([GROUP * k + np.arange(o) for k, o in enumerate(orders)])
    k = np.arange(steps)
    if spacing == "leading":
        return k * space.length // steps
    if spacing == "linspace" and steps > 1:
        return np.rint(np.linspace(0, space.length - 1, steps)).astype(np.int64)
    return (k + 1) * space.length // steps - 1


def _plural(steps: int) -> str:
    return f"{steps} step" if steps == 1 else f"{steps} steps"
