"""What a command shows while it works: progress on stderr, results on stdout."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

WIDTH = 120
"""Columns of a table that is piped into a file, where there is no terminal to ask."""


def stdout() -> Console:
    """The console for results; brackets are no markup, as names with parameters have them."""
    console = Console(markup=False)
    return console if console.is_terminal else Console(markup=False, width=WIDTH)


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

        A line with the part's time stays when it is done. Where there is no terminal that
        line is all, and a part that fails leaves nothing.
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
            yield lambda done, total: None
        seconds = time.perf_counter() - start
        self._progress.print(f"{title}: {seconds:.1f} s", soft_wrap=True, highlight=False, markup=False)

    def note(self, text: str) -> None:
        """One line of results."""
        self._results.print(text, highlight=False, markup=False, soft_wrap=True)
