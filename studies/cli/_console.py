"""What a command shows while it works: progress on stderr, results on stdout."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.progress import BarColumn, Progress, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from studies.records.progress import Pace

WIDTH = 120
"""Columns of a table that is piped into a file, where there is no terminal to ask."""


EVERY = 60.0
"""Seconds between two lines of a part of a command, where there is no terminal to draw bars on."""

FOLDED = 8
"""Columns that a column of words may be narrowed to, which then go over several lines."""


class Results(Console):
    """A console whose tables lose no digit: one that is too wide for it becomes a list."""

    def print(self, *things: Any, **options: Any) -> None:
        """As rich's."""
        super().print(*(self._fitting(thing) for thing in things), **options)

    def _fitting(self, thing: Any) -> Any:
        if not isinstance(thing, Table) or sum(map(self._least, thing.columns)) + 3 * len(thing.columns) <= self.width:
            return thing
        return as_list(thing)

    def _least(self, column: Any) -> int:
        """Columns that a table's column needs: of its longest word, where that may not be broken."""
        cells = [str(cell) for cell in (column.header, *column.cells)]
        words = [word for cell in cells for word in (cell.splitlines() if column.no_wrap else cell.split())]
        longest = max(map(len, words), default=0)
        return min(longest, FOLDED) if column.overflow == "fold" else longest


def as_list(table: Table) -> Group:
    """A table as lines of ``heading: value``, a block a row, which any width can show."""
    headings = [" ".join(str(column.header).split()) for column in table.columns]
    lines = [] if table.title is None else [Text(str(table.title)), Text("")]
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        for heading, value in zip(headings, cells, strict=True):
            if str(value).strip():
                lines.append(Text(f"{heading}: {value}" if heading else str(value)))
        lines.append(Text(""))
    if table.caption is not None:
        lines.append(Text(str(table.caption)))
    return Group(*lines)


def stdout() -> Console:
    """The console for results; brackets are no markup, as names with parameters have them."""
    console = Results(markup=False)
    return console if console.is_terminal else Results(markup=False, width=WIDTH)


class CountColumn(TextColumn):
    """How much is done, where that is known."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        """``300/300``, or nothing."""
        return Text("" if task.total is None else f"{int(task.completed)}/{int(task.total)}")


class Reporter:
    """Shows the parts of a long command as progress bars, and notes between them."""

    def __init__(self) -> None:
        self._results = stdout()
        self._progress = Console(stderr=True)

    @contextmanager
    def part(self, title: str) -> Iterator[Callable[[int, int], None]]:
        """A bar for one part; yields a function ``(done, total)`` that moves it.

        A line with the part's time stays when it is done; a part that fails leaves none. Where there is
        no terminal a line a minute says how far it is, and what is left.
        """
        start = time.perf_counter()
        if self._progress.is_terminal:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                CountColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=self._progress, transient=True) as progress:
                task = progress.add_task(title, total=None)
                yield lambda done, total: progress.update(task, completed=done, total=total)
        else:
            with self._lines(title) as step:
                yield step
        seconds = time.perf_counter() - start
        self._line(f"{title}: {seconds:.1f} s")

    @contextmanager
    def _lines(self, title: str) -> Iterator[Callable[[int, int], None]]:
        pace = Pace()
        over, start = threading.Event(), time.perf_counter()

        def watch() -> None:
            while not over.wait(EVERY):
                self._line(f"{title}: {pace.words(time.perf_counter() - start)}")

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield pace.moved
        finally:
            over.set()
            watcher.join()

    def _line(self, text: str) -> None:
        self._progress.print(text, soft_wrap=True, highlight=False, markup=False)

    def note(self, text: str) -> None:
        """One line of results."""
        self._results.print(text, highlight=False, markup=False, soft_wrap=True)
