"""The folder that a run writes to."""

from __future__ import annotations

import datetime
from contextlib import suppress
from pathlib import Path

from omsdpm.errors import InputError
from omsdpm.files import writable_folder


def claim_folder(output: Path | None, name: str, when: datetime.datetime) -> Path:
    """The run folder, empty and writable; the default one is new even if two runs start at once.

    Args:
        output: a folder; ``None`` for one below ``runs/``, with the run's name and time.
        name: of the run.
        when: its start.

    Raises:
        InputError: it holds files already, or cannot be written.
    """
    if output is not None:
        folder = Path(output)
        with suppress(OSError):  # no folder yet, or none that can be read: the next line says it better
            if folder.is_dir() and any(folder.iterdir()):
                raise InputError(f"output folder {folder} holds files already: name a new or empty folder")
        return writable_folder(folder)
    runs = writable_folder("runs")
    stem = f"{name}-{when:%Y%m%d-%H%M%S}"
    for attempt in range(100):
        folder = runs / (stem if attempt == 0 else f"{stem}-{attempt + 1}")
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise InputError(f"output folder {runs / stem} exists a hundred times: name one with --output")
