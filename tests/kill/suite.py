"""Kills at file operations, the command again, and whether all is as it would have been."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kill.commands import Command, lay_out, prepare
from tests.kill.compare import content, difference
from tests.kill.server import Ended, command, in_child


@dataclass
class Row:
    """What became of a command under kills.

    Attributes:
        name: the command's.
        operations: file operations of an undisturbed one.
        kills: at so many of them it was killed.
        went_on: the command again ended well.
        lost, doubled: rows of CSV files.
        differs: kills after which a file was another, lacking or left over.
        tracebacks: of the command again.
        notes: what went wrong, in words.
    """

    name: str
    operations: int = 0
    kills: int = 0
    went_on: int = 0
    lost: int = 0
    doubled: int = 0
    differs: int = 0
    tracebacks: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Nothing was lost by any kill."""
        return self.went_on == self.kills and not (self.lost or self.doubled or self.differs or self.tracebacks)


class Suite:
    """Prepared files, and a folder to work in.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prepared = folder / "prepared"
        self.prepared.mkdir()
        in_child(lambda: prepare(self.prepared, _well))

    def run(self, which: Command, kills: int, tell: Callable[[str], Any] = lambda text: None) -> Row:
        """Kills a command at up to so many of its file operations, evenly spread."""
        row = Row(which.name)
        work = self.folder / "work"
        self._begin(which, work)
        ended = command(which.words, work)
        if ended.code != 0:
            raise RuntimeError(f"{which.name} does not even work undisturbed:\n{ended.output}")
        row.operations = ended.operations
        wanted = in_child(lambda: content(work))
        for at in points(ended.operations, kills):
            self._begin(which, work)
            killed = command(which.words, work, at)
            if not killed.killed:
                row.notes.append(f"operation {at} was not reached: {killed.output[-300:]}")
                continue
            row.kills += 1
            self._again(which, work, at, wanted, row)
            tell(f"{which.name}: {row.kills}")
        return row

    def _again(self, which: Command, work: Path, at: int, wanted: dict[str, Any], row: Row) -> None:
        again: Ended = command(which.words, work)
        if "Traceback" in again.output or again.code < 0:
            row.tracebacks += 1
        if again.code == 0:
            row.went_on += 1
        else:
            row.notes.append(f"at {at}: exit code {again.code}: {again.output[-600:]}")
        now = in_child(lambda: content(work))
        other = difference(now, wanted)
        row.lost += other.lost
        row.doubled += other.doubled
        if other.other:
            row.differs += 1
            row.notes.append(f"at {at}: {', '.join(other.other)}")
        if other.lost or other.doubled:
            row.notes.append(f"at {at}: {other.lost} rows lost, {other.doubled} doubled")

    def _begin(self, which: Command, work: Path) -> None:
        """The folder as it is before the command; what comes before is only done once."""
        start = self.folder / "start" / which.name.replace(" ", "-")
        if not start.exists():
            lay_out(which, self.prepared, start)
            for words in which.before:
                _well(words, start)
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(start, work)


def points(operations: int, kills: int) -> Sequence[int]:
    """Operations to kill at: all, or so many of them evenly spread, the first and the last among them."""
    if operations <= kills:
        return range(1, operations + 1)
    if kills == 1:
        return [operations]
    return sorted({round(1 + k * (operations - 1) / (kills - 1)) for k in range(kills)})


def _well(words: Sequence[str], folder: Path) -> None:
    ended = command(words, folder)
    if ended.code != 0:
        raise RuntimeError(f"{' '.join(words)} does not even work undisturbed:\n{ended.output}")
