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
