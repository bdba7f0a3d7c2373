"""Rows of leaderboards that others wrote, perhaps with another program, perhaps not to the end."""

from __future__ import annotations

import csv
import io
import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from omsdpm.errors import InputError, InputWarning
from omsdpm.files import regular_file
from studies.records.leaderboard import COLUMNS
from studies.records.tables import spread, uncell

EXPECTED = "expected a leaderboard of `omsdpm-bench run`"


@dataclass(frozen=True)
class BoardRow:
    """One schedule's score from the noise of one seed.

    Attributes:
        place: file and number of the row, for messages.
        when: start of its run; may be empty, and so may the texts of optional columns.
        schedule: ``(L,)``.
        budget: ms.
        score, baseline_score: lower is better; no number is ``nan``, no baseline ``None``.
        images: of the score.
        latency: ms by the frozen table, ``None`` if it is not said.
    """

    place: str
    when: str
    benchmark: str
    data_hash: str
    metric: str
    budget: float
    optimizer: str
    predictor: str
    train_size: str
    evaluations: str
    run_seed: str
    kappa: str
    schedule: tuple[int, ...]
    images: int
    latency: float | None
    validation_seed: int
    score: float
    baseline: str
    baseline_score: float | None


def read_rows(files: Iterable[Path]) -> list[BoardRow]:
    """All rows of leaderboards; a last line that was not written to the end is left out, with a warning.

    Columns go by name, so their order is free. A byte-order mark and line ends of other
    systems, which spreadsheets add, change nothing.

    Raises:
        InputError: a file that cannot be read, is empty, is something else or has a row that is
            not complete before the last; or a cell that is no number where one belongs.
    """
    return [row for path in files for row in _rows(Path(path))]


def _rows(path: Path) -> list[BoardRow]:
    text = _text(path)
    if not text.strip():
        raise InputError(f"leaderboard {path} is empty: {EXPECTED}")
    try:
        header, *lines = [cells for cells in csv.reader(io.StringIO(text, newline="")) if cells]
    except csv.Error as error:
        raise InputError(f"{path} is no CSV: {error}; {EXPECTED}") from error
    lacking = [name for name in COLUMNS.required if name not in header]
    if lacking or len(set(header)) < len(header):
        why = f"lacks {', '.join(lacking)}" if lacking else "has one twice"
        raise InputError(f"{path} has other columns than a leaderboard (it {why}): {EXPECTED}")
    ended = text.endswith(("\n", "\r"))
    if lines and len(lines[-1]) < len(header) and not any("\n" in cell for cell in lines[-1]):
        warnings.warn(
            f"leaderboard {path}: its last line is torn, as a killed run leaves it, and is left out",
            InputWarning,
            stacklevel=2,
        )
        lines.pop()
    elif lines and not ended and (header[-1] in COLUMNS.required or header[-1] in COLUMNS.numbers):
        warnings.warn(
            f"leaderboard {path}: its last line has no line end; if the file was cut off, its last cell may be too",
            InputWarning,
            stacklevel=2,
        )
    absent = dict.fromkeys(COLUMNS.names, "")
    rows = []
    for number, cells in enumerate(lines, start=1):
        if len(cells) != len(header):
            raise InputError(
                f"leaderboard {path}: row {number} has {len(cells)} cells, expected {len(header)}; mend it"
            )
        row = absent | dict(zip(header, map(uncell, cells), strict=True))
        rows.append(_parsed(row, f"{path}: row {number}"))
    if not rows:
        raise InputError(f"leaderboard {path} has no rows: {EXPECTED}")
    return rows


def _text(path: Path) -> str:
    """A file's text; a letter that was cut in two at its very end is replaced."""
    regular_file(path, EXPECTED)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read leaderboard {path}: {error.strerror}; {EXPECTED}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.end < len(content) or error.reason != "unexpected end of data":
            raise InputError(f"{path} is no text: {error}; {EXPECTED}") from error
        return content.decode("utf-8-sig", errors="replace")


def _parsed(row: Mapping[str, str], place: str) -> BoardRow:
    def whole(name: str) -> int:
        number = _number(row, name, place)
        if number is None or not math.isfinite(number) or number != int(number) or number < 0:
            raise InputError(f"{place}: {name} is {row[name]!r}, expected a whole number")
        return int(number)

    budget, score = _number(row, "budget_ms", place), _number(row, "score", place)
    if budget is None or not math.isfinite(budget) or budget <= 0:
        raise InputError(f"{place}: budget_ms is {row['budget_ms']!r}, expected milliseconds")
    if score is None:
        raise InputError(f"{place}: score is empty, expected a number")
    try:
        schedule = tuple(spread(row["schedule"]))
    except ValueError:
        schedule = ()
    if not schedule:
        raise InputError(f"{place}: schedule is {row['schedule']!r}, expected members as '0 3 0 6'")
    return BoardRow(
        place=place,
        when=row["when"],
        benchmark=row["benchmark"],
        data_hash=row["data_hash"],
        metric=row["metric"],
        budget=budget,
        optimizer=row["optimizer"],
        predictor=row["predictor"],
        train_size=row["train_size"],
        evaluations=row["evaluations"],
        run_seed=row["run_seed"],
        kappa=row["kappa"],
        schedule=schedule,
        images=whole("images"),
        latency=_number(row, "latency_frozen_ms", place),
        validation_seed=whole("validation_seed"),
        score=score,
        baseline=row["baseline"],
        baseline_score=_number(row, "baseline_score", place),
    )


def _number(row: Mapping[str, str], name: str, place: str) -> float | None:
    """A cell's number, ``None`` if it is empty."""
    if not row[name].strip():
        return None
    try:
        return float(row[name])
    except ValueError:
        raise InputError(f"{place}: {name} is {row[name]!r}, expected a number") from None
