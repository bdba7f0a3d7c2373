"""File operations of a process, counted; at the n-th the process kills itself."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

NAMED = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
"""Audit events whose first argument is a path; ``os.rename`` is also of ``os.replace``."""


class Operations:
    """Counts what a process does to files below a folder, and kills it before the operation with number ``at``.

    Counted are opening for writing, renaming and exchanging, removing, making and removing folders,
    changing modes, and the synchronization that follows the writing of every file, so that a kill there
    leaves a temporary file that is whole but has no name yet.

    Args:
        folder: whose files count.
        at: before which operation, from 1; 0 for none.
    """

    def __init__(self, folder: Path, at: int = 0) -> None:
        self.folder = str(folder.resolve())
        self.at = at
        self.count = 0

    def watch(self) -> None:
        """Watches this process until it ends."""
        import predictors.folder

        sys.addaudithook(self._audit)
        sync, exchange = os.fsync, predictors.folder.exchange

        def counted_sync(handle: int) -> None:
            self._operation()
            sync(handle)

        def counted_exchange(one: Path, other: Path) -> bool:
            self._operation()
            return exchange(one, other)

        os.fsync = counted_sync
        predictors.folder.exchange = counted_exchange

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & WRITES)
            if writes and self._inside(path):
                self._operation()
        elif event in NAMED and self._inside(arguments[0]):
            self._operation()

    def _inside(self, path: Any) -> bool:
        if isinstance(path, int) or path is None:
            return False
        return os.path.abspath(os.fsdecode(path)).startswith(self.folder + os.sep)

    def _operation(self) -> None:
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
