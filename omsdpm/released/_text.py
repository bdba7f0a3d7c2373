"""Schedules and latencies from what people have beside ``.pth``: JSON, CSV, text, ``.npy``."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from omsdpm.arrays import read_npy
from omsdpm.errors import InputError, one_line

EXPECTED = "expected a .pth of the release, JSON, CSV, text or .npy with member numbers or latencies"

LARGEST = 2**26
"""Bytes of a text."""

COLUMNS = ("model_schedule", "schedule", "ms", "latency_ms", "latency")
"""Names of a CSV's column that is read, the first of them that it has."""

KINDS = {
    b"PAR1": "a Parquet file",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x1f\x8b": "a gzip archive",
    b"\x89HDF": "an HDF5 file",
    b"%PDF": "a PDF",
}
"""What files begin with that are often mistaken for one with numbers."""


def read_plain(path: Path) -> Any:
    """The content of a JSON, CSV, text or ``.npy`` file as lists and numbers; ``None`` for another kind of file.

    Raises:
        InputError: it is one of these and damaged, holds something other than numbers, or is of a kind
            that has no numbers.
    """
    with path.open("rb") as file:
        head = file.read(8)
        for magic, kind in KINDS.items():
            if head.startswith(magic):
                raise InputError(f"{path} is {kind}: {EXPECTED}")
        if head.startswith(b"\x93NUMPY"):
            return read_npy(path, "file", LARGEST).tolist()
    if head.startswith((b"PK", b"\x80")) or not head:
        return None
    size = path.stat().st_size
    if size > LARGEST:
        return None
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return None
    if any(not letter.isprintable() and not letter.isspace() for letter in text[:1000]):
        return None
    return _read_json(text, path) if text.lstrip()[:1] in ("[", "{") else _read_table(text, path)


def _read_json(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON, which it begins like: {one_line(error)[:200]}") from error


def _read_table(text: str, path: Path) -> Any:
    """Rows of numbers; a single row, or a single column, is one list."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    separator = next((mark for mark in ("\t", ";", ",") if lines and mark in lines[0]), None)
    try:
        rows = [line.split() for line in lines] if separator is None else list(csv.reader(lines, delimiter=separator))
    except csv.Error as error:
        raise InputError(f"{path} is no CSV: {error}") from error
    if not rows:
        raise InputError(f"{path} has no numbers: {EXPECTED}")
    header = [cell.strip().lower() for cell in rows[0]]
    column = next((header.index(name) for name in COLUMNS if name in header), None)
    if column is not None:
        cells = [row[column].split() if column < len(row) else [] for row in rows[1:]]
        values = [[_number(cell, path) for cell in row] for row in cells]
    elif any(_plain(cell) is None for cell in header if cell):
        words = ", ".join(header)[:60]
        raise InputError(
            f"{path} begins with {words!r}, no numbers: {EXPECTED}; a CSV's column is {' or '.join(COLUMNS)}"
        )
    else:
        values = [[_number(cell, path) for cell in row if cell.strip()] for row in rows]
    if all(len(row) == 1 for row in values):
        return [row[0] for row in values]
    return values[0] if len(values) == 1 else values


def _number(cell: str, path: Path) -> int | float:
    value = _plain(cell)
    if value is None:
        raise InputError(f"{path}: {cell.strip()[:40]!r} is no number: {EXPECTED}")
    return value


def _plain(cell: str) -> int | float | None:
    try:
        return int(cell)
    except ValueError:
        pass
    try:
        return float(cell)
    except ValueError:
        return None
