"""Small tables of a run folder, written once."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omsdpm.files import replacing


def compact(schedule: Sequence[int] | NDArray[np.int64]) -> str:
    """A schedule as text, image end first: ``"0 3 0 6"``.

    Spaces keep spreadsheets from reading it as a number or a date.
    """
    return " ".join(str(int(member)) for member in schedule)


def spread(text: str) -> list[int]:
    """The schedule that :func:`compact` wrote."""
    return [int(member) for member in text.split()]


def cell(value: object) -> str:
    """A value as a cell of a CSV that no spreadsheet takes for a formula; :func:`uncell` gives its text back.

    Spreadsheets run text that begins with ``=``, ``+``, ``-`` or ``@``, which names from a stranger's
    files may. An apostrophe in front makes it text to them; numbers stay numbers.
    """
    text = "" if value is None else str(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def uncell(text: str) -> str:
    """The text that :func:`cell` made a cell of."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file with a header, written atomically."""
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([cell(value) for value in row] for row in rows)
