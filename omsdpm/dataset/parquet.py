"""Parquet tables that programs write: what a file claims is bounded, and columns are known to hold what they should."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError, one_line
from omsdpm.files import regular_file

LARGEST = 2**30
"""Bytes that a table may have when it is unpacked; a million schedules take a tenth."""


def read_parquet(path: Path, columns: Iterable[str], what: str) -> Any:
    """The table of a file, a ``pyarrow.Table``.

    Args:
        path: the file.
        columns: that it has to have.
        what: the file in a word, for errors.

    Raises:
        InputError: no Parquet file, one that is damaged or claims too much, or a column is lacking.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = regular_file(path, "expected a Parquet file", f"{what} {path}")
    try:
        with pq.ParquetFile(path) as file:
            groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
            claimed = max(sum(group.total_byte_size for group in groups), file.metadata.num_rows)
            if not 0 <= claimed <= LARGEST:
                raise InputError(f"{what} {path} claims {claimed} bytes: expected {LARGEST} at most")
            table = file.read()
        table.validate(full=True)
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        reason = one_line(error)[:200] or type(error).__name__
        raise InputError(f"{what} {path} is not a Parquet file that can be read: {reason}") from error
    for column in columns:
        if column not in table.column_names:
            raise InputError(f"{what} {path} lacks the column {column!r}: it has {', '.join(table.column_names)}")
    return table


def lists_of(column: Any, name: str, what: str = "numbers") -> list[list[Any] | None]:
    """The rows of a column of lists of numbers.

    Raises:
        InputError: it holds something else.
    """
    import pyarrow as pa

    kind = column.type
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    number = lists and (pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type))
    if not number and not pa.types.is_null(kind):
        raise InputError(f"column {name!r} holds {kind}, expected lists of {what}")
    rows: list[list[Any] | None] = column.to_pylist()
    return rows


def words_of(column: Any, name: str) -> list[str]:
    """The words of a column, empty where there are none.

    Raises:
        InputError: it holds something else.
    """
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise InputError(f"column {name!r} holds {column.type}, expected words")
    try:
        return [word or "" for word in column.to_pylist()]
    except UnicodeDecodeError as error:
        raise InputError(f"column {name!r} holds what is no UTF-8") from error


def slots_of(column: Any, length: int) -> NDArray[np.int64]:
    """``(n, L)`` of a column of lists: whole numbers, in whatever type.

    Raises:
        InputError: names the first row that is none.
    """
    rows = lists_of(column, "schedule", "member numbers")
    for row, slots in enumerate(rows):
        if len(slots or ()) != length:
            raise InputError(f"row {row} has {len(slots or ())} slots, expected {length}")
    values = np.array(rows, dtype=object).reshape(-1, length)
    whole = np.array([value is not None and float(value).is_integer() for value in values.flat], dtype=bool)
    wrong = np.argwhere(~whole.reshape(values.shape)).tolist()
    if wrong:
        row, slot = wrong[0]
        value = "null" if values[row, slot] is None else values[row, slot]
        raise InputError(f"row {row} has {value} in slot {slot}, expected a member number, 0 for none")
    if len(values) and not all(-(2**31) < value < 2**31 for value in (values.min(), values.max())):
        raise InputError("a slot holds a number of more than 9 digits, expected member numbers")
    return values.astype(np.int64)
