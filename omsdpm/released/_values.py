"""The same value as Python, NumPy and torch spell it."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Any

import numpy as np

from omsdpm.errors import InputError
from omsdpm.files import regular_file
from omsdpm.released._numpy import unwrap
from omsdpm.released._pickle import load_pth
from omsdpm.released._text import EXPECTED, read_plain

SCHEDULE_KEYS = ("model_schedule", "ms")
SCORE_KEYS = ("score", "metric")

DEPTH = 8
"""Deepest nesting of a file's lists; the release's have four levels."""


def load_values(path: str | Path) -> Any:
    """A file's content with tensors, arrays and tuples as lists and their elements as Python numbers.

    Of a ``.pth``, or of what :func:`omsdpm.released._text.read_plain` reads.

    Raises:
        InputError: as :func:`omsdpm.released._pickle.load_pth`, or lists nested too deeply.
    """
    path = regular_file(path, EXPECTED)
    try:
        content = read_plain(path)
        return _plain(load_pth(path, numpy_values=True) if content is None else content, DEPTH, {})
    except RecursionError as error:
        raise InputError(f"{path} has lists within lists more than {DEPTH} deep: expected schedules") from error


def _plain(value: Any, depth: int, done: dict[int, Any]) -> Any:
    # A list may stand in a pickle many times over; converting it once keeps the work linear.
    if id(value) in done:
        return done[id(value)]
    if depth == 0:
        raise RecursionError
    value_id, value = id(value), unwrap(value)
    if isinstance(value, (list, tuple)):
        result: Any = [_plain(item, depth - 1, done) for item in value]
    elif isinstance(value, dict):
        result = {key: _plain(item, depth - 1, done) for key, item in value.items()}
    elif isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    elif hasattr(value, "detach") and hasattr(value, "tolist"):  # a tensor, without importing torch
        return value.detach().tolist()
    else:
        return value
    done[value_id] = result
    return result


def number(value: Any) -> float | None:
    """A plain number, or a list of just one, as float; ``None`` for anything else."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:  # an int of hundreds of digits
        return None


def pick(entry: dict[Any, Any], keys: tuple[str, ...]) -> Any:
    """The entry's value under the first of ``keys`` that it has, else ``None``."""
    return next((entry[key] for key in keys if key in entry), None)


def schedule_fault(slots: Any) -> str | None:
    """Why a plain value is no list of member numbers; ``None`` if it is one."""
    if not isinstance(slots, list) or not slots:
        return "has no schedule: expected a list of member numbers, 0 for null"
    for slot, member in enumerate(slots):
        whole = isinstance(member, (int, float)) and not isinstance(member, bool) and member == member // 1
        if not whole or not 0 <= member < 2**31:
            return f"has {reprlib.repr(member)} in slot {slot}: expected a member number, 0 for null"
    return None
