"""A CSV that many runs append to, also at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from omsdpm.errors import InputError
from omsdpm.files import check_lockable, locked, replacing, writable_folder
from studies.records.tables import cell, uncell

PATIENCE = 60.0
"""Seconds to wait for another run that is writing."""


class AppendedCSV:
    """A CSV that only grows, and whose columns go by name.

    Rows are added under a lock, and by replacing the file: of two runs that write at once
    neither loses a row, and a killed one leaves the file as it was.

    A file of another version may have fewer columns, more, or another order. It is read as
    it is, what it lacks as empty cells; the first row that is appended adds the columns that
    it lacks, and leaves columns that only a newer version knows where they are.

    Args:
        path: the file; it need not exist.
        columns: what this version writes.
        required: columns without which a file is something else; ``None`` for all.
        what: the file in a word, for errors.
        instead: what to do where it cannot be used, for errors.
    """

    def __init__(
        self,
        path: str | Path,
        columns: Sequence[str],
        required: Sequence[str] | None = None,
        what: str = "table",
        instead: str = "name another file",
    ) -> None:
        self.path = Path(path)
        self.columns = tuple(columns)
        self.required = self.columns if required is None else tuple(required)
        self._what = what
        self._instead = instead

    def check(self) -> None:
        """Raises :class:`InputError` if rows could not be appended; changes nothing."""
        writable_folder(self.path.parent)
        check_lockable(self._lock)  # known before hours of work, not after
        self._widened(self._content())

    def rows(self) -> list[dict[str, str]]:
        """The rows, as text by column; none if there is no file.

        Raises:
            InputError: the file is something else, or has a row that is not complete.
        """
        header, lines = self._cells(self._content())
        absent = dict.fromkeys(self.columns, "")
        return [{**absent, **dict(zip(header, map(uncell, cells), strict=True))} for cells in lines]

    def append(self, rows: Iterable[Mapping[str, object]], once: Sequence[str] = ()) -> None:
        """Adds rows of this version's columns.

        Args:
            rows: by column.
            once: columns that together tell a row: one that is there already is not added again.

        Raises:
            InputError: the file is something else, cannot be written, or is locked for too long.
            ValueError: a row has a column that is none of this version's.
        """
        new = [dict(row) for row in rows]
        for row in new:
            if unexpected := sorted(set(row) - set(self.columns)):
                raise ValueError(f"unexpected columns {', '.join(unexpected)}")
        writable_folder(self.path.parent)
        with locked(self._lock, timeout=PATIENCE) as held:
            if held:
                content = self._widened(self._content())
                if once:
                    known = {tuple(row[name] for name in once) for row in self.rows()}
                    new = [row for row in new if tuple(_text(row.get(name)) for name in once) not in known]
                    if not new:
                        return
                added = io.StringIO()
                writer = csv.DictWriter(added, _header(content), restval="", lineterminator="\n")
                writer.writerows({name: cell(value) for name, value in row.items()} for row in new)
                with replacing(self.path) as temporary:
                    temporary.write_text(content + added.getvalue(), encoding="utf-8", newline="")
        if not held:
            raise InputError(
                f"{self._what} {self.path} was locked for {PATIENCE:g} s: another run is writing, or was stopped "
                f"while it did; {self._instead}"
            )

    @property
    def _lock(self) -> Path:
        return self.path.parent / f".{self.path.name}.lock"

    def _content(self) -> str:
        """The file as it is, empty if there is none.

        Raises:
            InputError: it cannot be read, or is something else.
        """
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                content = file.read()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {self._what} {self.path}: {error}; {self._instead}") from error
        if not content.strip():
            return ""
        try:
            _parsed(content)
        except csv.Error as error:
            raise InputError(f"{self._what} {self.path} is no CSV: {error}; {self._instead}") from error
        header = _header(content)
        lacking = [name for name in self.required if name not in header]
        if lacking or len(set(header)) < len(header):
            why = f"lacks {', '.join(lacking)}" if lacking else "has one twice"
            raise InputError(
                f"{self._what} {self.path} has other columns than a {self._what} (it {why}): {self._instead}"
            )
        return content if content.endswith("\n") else content + "\n"  # somebody's editor left it out

    def _cells(self, content: str) -> tuple[list[str], list[list[str]]]:
        """Header and rows."""
        header, *lines = _parsed(content) if content else [list(self.columns)]
        for number, cells in enumerate(lines, start=1):
            if len(cells) != len(header):
                raise InputError(
                    f"{self._what} {self.path}: row {number} has {len(cells)} cells, expected {len(header)}; "
                    f"mend it or {self._instead}"
                )
        return header, lines

    def _widened(self, content: str) -> str:
        """The content with all of this version's columns; untouched where it has them."""
        lacking = [] if not content else [name for name in self.columns if name not in _header(content)]
        if content and not lacking:
            return content
        header, lines = self._cells(content)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*header, *lacking])
        writer.writerows([*cells, *[""] * len(lacking)] for cells in lines)
        return text.getvalue()


def _text(value: object) -> str:
    return uncell(cell(value))


def _header(content: str) -> list[str]:
    return next(csv.reader(io.StringIO(content)), [])


def _parsed(content: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content)))
