"""How a job tells what it is doing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

Step = Callable[[int, int], None]
"""Called as ``(done, total)``."""


class Reporter(Protocol):
    """Where progress goes; the command line's draws bars."""

    def part(self, title: str) -> AbstractContextManager[Step]:
        """Entered for one part of the job; gives the function that moves its bar."""

    def note(self, text: str) -> None:
        """One line of intermediate results."""


class Silent:
    """Tells nothing."""

    @contextmanager
    def part(self, title: str) -> Iterator[Step]:
        """Nothing to move."""
        yield lambda done, total: None

    def note(self, text: str) -> None:
        """Nothing."""


SILENT = Silent()


@dataclass
class Clock:
    """Reports the parts of a job and keeps the seconds that each took."""

    reporter: Reporter
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, key: str, title: str) -> Iterator[Step]:
        """One part; ``key`` names it in the results."""
        start = time.perf_counter()
        with self.reporter.part(title) as step:
            yield step
        self.seconds[key] = round(time.perf_counter() - start, 3)


def duration(seconds: float) -> str:
    """A time in words: ``90 s``, ``5 min``, ``3.4 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"


@dataclass
class Pace:
    """How far a part is, and how long it will take if it goes on as it went since it was first asked.

    What was done before, as by a build that goes on where it was killed, took no time here.
    """

    clock: Callable[[], float] = time.perf_counter
    done: int = 0
    total: int | None = None
    _first: tuple[float, int] | None = None

    def moved(self, done: int, total: int) -> None:
        """So much is done."""
        self.done, self.total = done, total
        if self._first is None:
            self._first = self.clock(), done

    def left(self) -> float | None:
        """Seconds that are left; ``None`` where nobody can know."""
        if self._first is None or self.total is None:
            return None
        start, before = self._first
        moved = self.done - before
        return (self.clock() - start) / moved * (self.total - self.done) if moved > 0 else None

    def words(self, seconds: float) -> str:
        """``300 of 1,000 after 60 s, about 140 s left``, as far as it is known.

        Args:
            seconds: since the part began.
        """
        done = "" if self.total is None else f"{self.done:,} of {self.total:,} "
        left = self.left()
        return f"{done}after {seconds:.0f} s" + ("" if left is None else f", about {duration(left)} left")
