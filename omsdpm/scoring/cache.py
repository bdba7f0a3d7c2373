"""A folder of the user's for what is costly to compute and told apart by its content."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER_VARIABLE = "OMSDPM_CACHE"
"""Environment variable that names the folder; empty for none."""


def cache_folder() -> Path | None:
    """Where things are kept: ``OMSDPM_CACHE``, else ``omsdpm`` in the user's cache; ``None`` where there is no place.

    Nothing fails for want of it: what cannot be kept is computed again.
    """
    if (given := os.environ.get(FOLDER_VARIABLE)) is not None:
        folder = Path(given).absolute() if given else None
    elif given := os.environ.get("XDG_CACHE_HOME"):
        folder = Path(given) / "omsdpm"
    else:
        try:
            folder = Path.home() / ".cache" / "omsdpm"
        except RuntimeError:  # nobody's home
            folder = None
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if folder is not None and os.access(folder, os.W_OK) else None


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Waits for other processes that compute the same file."""
    from filelock import FileLock

    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire()
    except (OSError, NotImplementedError):  # a file system without locks: then it may be computed twice
        yield
        return
    try:
        yield
    finally:
        lock.release()
