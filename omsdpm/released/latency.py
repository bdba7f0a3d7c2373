"""Released latency tables: a list of milliseconds, one a member."""

from __future__ import annotations

import math
from pathlib import Path

from omsdpm.errors import InputError
from omsdpm.released._values import load_values, number, pick


def read_latency(path: str | Path, num_models: int | None = None) -> list[float]:
    """Milliseconds that one evaluation of each member takes, without the null model.

    Args:
        path: a ``.pth`` with a list, tensor or array of numbers, or JSON, CSV, text or ``.npy`` with them.
        num_models: members of the zoo it is for, checked where given.

    Raises:
        InputError: not such a file, a negative or infinite latency, or a wrong number of them.
    """
    content = load_values(path)
    if isinstance(content, dict):
        content = pick(content, ("ms", "latency_ms", "latency"))
    values = [number(item) for item in content] if isinstance(content, list) else []
    if not values or None in values:
        raise InputError(f"{path} is no latency table: expected a list of milliseconds, one a member")
    table = [value for value in values if value is not None]
    for member, milliseconds in enumerate(table, start=1):
        if not math.isfinite(milliseconds) or milliseconds < 0:
            raise InputError(f"{path}: member {member} has latency {milliseconds}: expected milliseconds, 0 or more")
    if num_models is not None and len(table) != num_models:
        null = len(table) == num_models + 1 and table[0] == 0
        hint = "remove the first, which is the null model's" if null else "give the table measured for this zoo"
        raise InputError(f"{path} has {len(table)} latencies for {num_models} members: {hint}")
    return table
