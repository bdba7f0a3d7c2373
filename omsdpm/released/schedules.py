"""Released schedules: one, a list of them, or a final population; and ours as the release reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from omsdpm.errors import InputError
from omsdpm.files import replacing
from omsdpm.released._values import SCHEDULE_KEYS, load_values, number, pick, schedule_fault
from omsdpm.solvers import Schedules, ScheduleSpace


def read_schedules(path: str | Path, space: ScheduleSpace | None = None) -> Schedules:
    """The schedules of a file, ``(n, L)`` int64, in its order.

    Args:
        path: a ``.pth`` with one schedule, a list of them (a final population), or
            dictionaries with ``ms`` or ``model_schedule``; lists, tensors or arrays. JSON, CSV, text
            and ``.npy`` with the same are read too.
        space: checked against where given.

    Raises:
        InputError: not such a file, lengths that differ, or schedules that are not valid
            in ``space``.
    """
    entries = _entries(load_values(path))
    if not entries:
        raise InputError(f"{path} holds no schedules: expected a list of member numbers, or a list of such lists")
    for row, slots in enumerate(entries):
        fault = schedule_fault(slots)
        if fault is not None:
            raise InputError(f"{path}: schedule {row} {fault}")
        if len(slots) != len(entries[0]):
            raise InputError(f"{path}: schedule {row} has {len(slots)} slots, schedule 0 has {len(entries[0])}")
    X = np.array(entries, dtype=np.int64)
    if space is None:
        return X
    try:
        return space.check(X)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write_population(path: str | Path, X: ArrayLike, space: ScheduleSpace | None = None) -> None:
    """Writes schedules ``(n, L)``, the best first, as the release's final population: a list of lists.

    Raises:
        InputError: not such an array, schedules that are not valid in ``space``, or a
            folder that cannot be written.
    """
    _save(path, _checked(X, space).tolist())


def write_schedule(path: str | Path, x: ArrayLike, space: ScheduleSpace | None = None) -> None:
    """Writes one schedule ``(L,)`` as the release's searched schedule: a list.

    Raises:
        InputError: as :func:`write_population`, or more than one schedule.
    """
    if np.ndim(x) != 1:
        raise InputError(f"array of shape {np.shape(x)}: expected one schedule (L,); write_population writes several")
    (row,) = _checked(x, space)
    _save(path, row.tolist())


def _entries(content: Any) -> list[Any]:
    if isinstance(content, dict):
        return [pick(content, SCHEDULE_KEYS)]
    if not isinstance(content, list):
        return []
    if all(number(item) is not None and not isinstance(item, list) for item in content):
        return [content] if content else []
    return [_slots(item) for item in content]


def _slots(entry: Any) -> Any:
    if isinstance(entry, dict):
        return pick(entry, SCHEDULE_KEYS)
    if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], list):
        return entry[0]  # a dataset's pair of schedule and score
    return entry


def _checked(X: ArrayLike, space: ScheduleSpace | None) -> Schedules:
    batch = np.asarray(X)
    if space is not None:
        return space.check(batch)
    batch = batch[None, :] if batch.ndim == 1 else batch
    if batch.ndim != 2 or not batch.size or not np.issubdtype(batch.dtype, np.integer) or batch.min() < 0:
        raise InputError(f"array of shape {batch.shape} and type {batch.dtype}: expected member numbers (n, L)")
    return batch


def _save(path: str | Path, content: list[Any]) -> None:
    import torch

    # Into an open file: the archive of a named one has its name, which is temporary, in it.
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(content, file)
