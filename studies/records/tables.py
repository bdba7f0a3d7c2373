"""Small tables of a run folder, written once."""

from __future__ import annotations

import csv
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


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file with a header, written atomically."""
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
