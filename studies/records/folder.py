"""Folders below ``runs/``, where a run writes that names no other."""

from __future__ import annotations

import datetime
from contextlib import suppress
from pathlib import Path

from omsdpm.errors import InputError
from omsdpm.files import writable_folder


def new_folder(name: str, when: datetime.datetime) -> Path:
    """A folder below ``runs/``, new even if two runs start at once.

    Args:
        name: of the run.
        when: its start.

    Raises:
        InputError: it cannot be written.
    """
    runs = writable_folder("runs")
    stem = f"{name}-{when:%Y%m%d-%H%M%S}"
    for attempt in range(100):
        folder = runs / (stem if attempt == 0 else f"{stem}-{attempt + 1}")
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise InputError(f"output folder {runs / stem} exists a hundred times: name one with --output")
