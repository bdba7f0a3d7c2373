"""A CSV that many runs append to, also at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from omsdpm.errors import InputError
from omsdpm.files import replacing, writable_folder

PATIENCE = 60.0
"""Seconds to wait for another run that is writing."""


class AppendedCSV:
    """A CSV of fixed columns that only grows.

    Rows are added under a lock, and by replacing the file: of two runs that write at once
    neither loses a row, and a killed one leaves the file as it was.

    Args:
        path: the file; it need not exist.
        columns: its header.
        what: the file in a word, for errors.
        instead: what to do where it cannot be used, for errors.
    """

    def __init__(
        self, path: str | Path, columns: Sequence[str], what: str = "table", instead: str = "name another file"
    ) -> None:
        self.path = Path(path)
        self.columns = tuple(columns)
        self._what = what
        self._instead = instead

    def check(self) -> None:
        """Raises :class:`InputError` if rows could not be appended; changes nothing."""
        writable_folder(self.path.parent)
        self._content()

    def rows(self) -> list[dict[str, str]]:
        """The rows, as text by column; none if there is no file.

        Raises:
            InputError: the file has other columns, or a row that is not complete.
        """
        found = list(csv.reader(io.StringIO(self._content())))[1:]
        for number, cells in enumerate(found, start=1):
            if len(cells) != len(self.columns):
                raise InputError(
                    f"{self._what} {self.path}: row {number} has {len(cells)} cells, expected {len(self.columns)}; "
                    f"mend it or {self._instead}"
                )
        return [dict(zip(self.columns, cells, strict=True)) for cells in found]

    def append(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Adds rows, each with exactly the file's columns.

        Raises:
            InputError: the file has other columns, cannot be written, or is locked for too long.
        """
        from filelock import FileLock, Timeout

        added = io.StringIO()
        writer = csv.DictWriter(added, self.columns, lineterminator="\n")
        for row in rows:
            writer.writerow(row)
        writable_folder(self.path.parent)
        try:
            with FileLock(self.path.parent / f".{self.path.name}.lock", timeout=PATIENCE):
                content = self._content()
                if content and not content.endswith("\n"):
                    content += "\n"  # somebody's editor left it out
                with replacing(self.path) as temporary:
                    header = ",".join(self.columns) + "\n"
                    temporary.write_text((content or header) + added.getvalue(), encoding="utf-8")
        except Timeout as error:
            raise InputError(
                f"{self._what} {self.path} was locked for {PATIENCE:g} s: another run is writing, or was stopped "
                f"while it did; {self._instead}"
            ) from error

    def _content(self) -> str:
        """The file as it is, empty if there is none."""
        try:
            content = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {self._what} {self.path}: {error}; {self._instead}") from error
        header = tuple(next(csv.reader(io.StringIO(content)), ()))
        if content.strip() and header != self.columns:
            raise InputError(f"{self._what} {self.path} has other columns than this version writes: {self._instead}")
        return content if content.strip() else ""
