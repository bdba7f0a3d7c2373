"""The same value as Python, NumPy and torch spell it."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np

SCHEDULE_KEYS = ("model_schedule", "ms")
SCORE_KEYS = ("score", "metric")


def plain(value: Any) -> Any:
    """Tensors, arrays and tuples as lists, their elements as Python numbers; the rest as it is."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if hasattr(value, "detach") and hasattr(value, "tolist"):  # a tensor, without importing torch
        return value.detach().tolist()
    return value


def number(value: Any) -> float | None:
    """A plain number, or a list of just one, as float; ``None`` for anything else."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value)


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
