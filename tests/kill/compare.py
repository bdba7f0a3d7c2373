"""What is in a folder, without times; and how two folders differ."""

from __future__ import annotations

import csv
import json
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omsdpm.files import is_temporary

TIMED = frozenset(
    (
        "when", "seconds", "date", "fit_seconds", "predictions_per_second", "search_seconds", "overhead_seconds",
        "latency_measured_ms", "scoring",
    )
)  # fmt: skip
"""Keys and columns that say when something was done, or how long it took."""

MEASURED = frozenset(("latency.toml",))
"""Files of which only the keys can be the same."""

PRIVATE = frozenset((".omsdpm-sample.json",))


@dataclass
class Difference:
    """What a folder has otherwise than one of an undisturbed command.

    Attributes:
        lost, doubled: rows of CSV files.
        other: files that lack, are too many, or say something else.
    """

    lost: int = 0
    doubled: int = 0
    other: list[str] = field(default_factory=list)


def content(folder: Path) -> dict[str, Any]:
    """The content of each file by its path, without times and locks."""
    files: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir():
            if not any(path.iterdir()) and path.name != "build":
                files[name + "/"] = "empty"
        elif path.suffix != ".lock" and path.name not in PRIVATE:
            files[name] = path.read_bytes() if is_temporary(path.name) else _read(path)
    return files


def difference(found: dict[str, Any], wanted: dict[str, Any]) -> Difference:
    """How one content differs from another."""
    told = Difference()
    for name in sorted({*found, *wanted}):
        one, other = found.get(name), wanted.get(name)
        if isinstance(one, Rows) or isinstance(other, Rows):
            here, there = Counter(one.rows if one else ()), Counter(other.rows if other else ())
            told.lost += (there - here).total()
            told.doubled += sum(max(0, here[row] - there[row]) for row in here if there[row])
            if here - there and not sum(there[row] for row in here - there):
                told.other.append(name)
            if one is not None and other is not None and one.header != other.header:
                told.other.append(name)
        elif one != other:
            left = "left: " if is_temporary(Path(name).name) else ""
            told.other.append(f"{left}{name}")
    return told


@dataclass(frozen=True)
class Rows:
    """A CSV file."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def _read(path: Path) -> Any:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = list(csv.reader(file)) or [[]]
        timed = [number for number, name in enumerate(header) if name not in TIMED]
        kept = tuple(tuple(row[number] for number in timed) for row in rows)
        return Rows(tuple(header), kept)
    if path.suffix == ".json":
        return _without(json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".toml" and path.name in MEASURED:
        return sorted(tomllib.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        facts = {key.decode(): value for key, value in (table.schema.metadata or {}).items()}
        said = _without(json.loads(facts["omsdpm"])) if "omsdpm" in facts else None
        return table.to_pylist(), said
    if path.name == "CARD.md":
        lines = path.read_text(encoding="utf-8").splitlines()
        lines = [line for line in lines if not line.startswith("| data hash")]  # of files that say seconds
        return [line.rpartition(" | ")[0] if line.count("|") == 9 else line.partition("; card of")[0] for line in lines]
    return path.read_bytes()


def _without(value: Any) -> Any:
    """JSON without what is timed."""
    if isinstance(value, dict):
        return {key: _without(part) for key, part in value.items() if key not in TIMED}
    return [_without(part) for part in value] if isinstance(value, list) else value
