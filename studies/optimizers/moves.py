"""Small changes to schedules, for whole batches: mutation, and crossover of two parents.

All of them treat members as names without order. They may leave a group of slots with a
null before a model; the space's repair closes such gaps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from omsdpm.solvers import ScheduleSpace

Schedules = NDArray[np.int64]  # (n, L)


def mutate(space: ScheduleSpace, X: Schedules, rng: np.random.Generator) -> Schedules:
    """``(n, L) -> (n, L)``: one to three random moves a row, mostly one."""
    X = X.copy()
    moves = rng.choice(3, size=len(X), p=(0.6, 0.3, 0.1)) + 1
    for turn in range(3):
        kind = np.where(moves > turn, rng.integers(len(MOVES), size=len(X)), -1)
        for k, move in enumerate(MOVES):
            rows = np.flatnonzero(kind == k)
            if len(rows):
                # Groups of slots move as a whole half of the time.
                width = space.group_size if rng.random() < 0.5 else 1
                cells = X[rows].reshape(len(rows), -1, width)
                X[rows] = move(cells, space.num_models, rng).reshape(len(rows), -1)
    return X


def cross(space: ScheduleSpace, A: Schedules, B: Schedules, rng: np.random.Generator) -> tuple[Schedules, Schedules]:
    """Exchanges a run of groups of slots between two parents, or, in one row of four, single groups."""
    n, width = len(A), space.group_size
    count = space.length // width
    inside = _segment(n, count, rng)
    scattered = rng.random(n) < 0.25
    inside[scattered] = rng.random((int(scattered.sum()), count)) < 0.5
    taken = np.repeat(inside, width, axis=1)
    return np.where(taken, A, B), np.where(taken, B, A)


# A move takes cells (n, G, w): G groups of w slots; a group is active if any slot in it is.


def _redraw(C: Schedules, members: int, rng: np.random.Generator) -> Schedules:
    """A slot is drawn anew among all members and null."""
    rows = np.arange(len(C))
    flat = C.reshape(len(C), -1).copy()
    flat[rows, rng.integers(flat.shape[1], size=len(C))] = rng.integers(members + 1, size=len(C))
    return flat.reshape(C.shape)


def _replace(C: Schedules, members: int, rng: np.random.Generator) -> Schedules:
    """An active slot gets another member."""
    flat = C.reshape(len(C), -1).copy()
    slots, rows = _pick(flat > 0, rng)
    flat[rows, slots[rows]] = rng.integers(1, members + 1, size=len(rows))
    return flat.reshape(C.shape)


def _add(C: Schedules, members: int, rng: np.random.Generator) -> Schedules:
    """A null slot gets a member."""
    flat = C.reshape(len(C), -1).copy()
    slots, rows = _pick(flat == 0, rng)
    flat[rows, slots[rows]] = rng.integers(1, members + 1, size=len(rows))
    return flat.reshape(C.shape)


def _remove(C: Schedules, members: int, rng: np.random.Generator) -> Schedules:
    """An active group becomes null."""
    C = C.copy()
    groups, rows = _pick(_active(C), rng)
    C[rows, groups[rows]] = 0
    return C


def _shift(C: Schedules, members: int, rng: np.random.Generator) -> Schedules:
    """An active group changes places with a neighbor."""
    C = C.copy()
    here, rows = _pick(_active(C), rng)
    here = here[rows]
    there = np.clip(here + rng.choice((-1, 1), size=len(rows)), 0, C.shape[1] - 1)
    C[rows, here], C[rows, there] = C[rows, there], C[rows, here]
    return C


def _swap(C: Schedules, members: int, rng: np.random.Generator) -> Schedules:
    """An active group changes places with any other."""
    C = C.copy()
    here, rows = _pick(_active(C), rng)
    here = here[rows]
    there = rng.integers(C.shape[1], size=len(rows))
    C[rows, here], C[rows, there] = C[rows, there], C[rows, here]
    return C


def _slide(C: Schedules, members: int, rng: np.random.Generator) -> Schedules:
    """A run of groups moves by one, its last group going around."""
    inside = _segment(len(C), C.shape[1], rng)
    first = inside.argmax(axis=1)
    size = np.maximum(inside.sum(axis=1), 1)
    at = np.arange(C.shape[1])
    step = rng.choice((-1, 1), size=len(C))[:, None]
    source = np.where(inside, first[:, None] + (at - first[:, None] + step) % size[:, None], at)
    return np.take_along_axis(C, source[:, :, None], axis=1)


def _paint(C: Schedules, members: int, rng: np.random.Generator) -> Schedules:
    """All models in a run of groups become one member."""
    inside = _segment(len(C), C.shape[1], rng)[:, :, None]
    color = rng.integers(1, members + 1, size=(len(C), 1, 1))
    return np.where(inside & (C > 0), color, C)


MOVES = (_redraw, _replace, _replace, _add, _remove, _shift, _shift, _swap, _slide, _paint)
"""Listed as often as they shall come up."""


def _active(C: Schedules) -> NDArray[np.bool_]:
    """``(n, G, w) -> (n, G)``: groups with a model."""
    active = C[:, :, 0] > 0
    for slot in range(1, C.shape[2]):  # NumPy reduces an axis of three far slower than it goes through three arrays
        active |= C[:, :, slot] > 0
    return active


def _pick(mask: NDArray[np.bool_], rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A random true column of each row ``(n,)``, and the rows that have one."""
    columns = np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)
    return columns, np.flatnonzero(mask.any(axis=1))


def _segment(n: int, length: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """``(n, length)``: true in a random run of columns, not empty."""
    ends = np.sort(rng.integers(length, size=(n, 2)), axis=1)
    at = np.arange(length)
    return (at >= ends[:, :1]) & (at <= ends[:, 1:])
