"""The folders that a build works in: marked as its own, and only then removed."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from omsdpm.errors import InputError
from omsdpm.files import replacing
from omsdpm.tables import read_json

MARKER = ".omsdpm-build.json"
"""Says that a build made the folder, and under which name."""

_OURS = re.compile(
    r"(\.?(drawn|cut|omsdpm-build|shard-\d{5})([.-].*)?)"  # with locks, and temporary files of killed builds
    r"|\.\.omsdpm-build-.*"
    r"|\d+"  # the seeds of validated baselines
)
"""What builds write into their folders; those of earlier versions have no marker."""

_AWAY = re.compile(r"\..+-[0-9a-f]{32}")
"""Names of folders that were put away."""


def own_folder(folder: Path) -> None:
    """Makes a build's folder with its marker, or finds it there.

    Raises:
        InputError: there is something else of that name, or the folder cannot be written.
    """
    if is_own(folder):
        return
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder} is no folder of a build: move it away, and build again")
    strange = sorted(path.name for path in folder.iterdir() if not _ours(path)) if folder.exists() else []
    if strange:
        raise InputError(f"{folder} holds {strange[0]!r}, which no build wrote there: move it away, and build again")
    with replacing(folder / MARKER) as temporary:
        temporary.write_text(json.dumps({"made_by": "omsdpm-bench dataset build", "folder": folder.name}) + "\n")


def is_own(folder: Path) -> bool:
    """Whether a build made the folder, under the name that it has."""
    if folder.is_symlink():
        return False
    try:
        said = read_json(folder / MARKER, "expected the marker of a build")
    except InputError:
        return False
    return isinstance(said, dict) and said.get("folder") == folder.name


def put_away(folder: Path) -> None:
    """Removes a build's folder: at once for other processes, which must not see it half empty.

    One that no build marked as its own stays where it is.
    """
    if not is_own(folder):
        with suppress(OSError):
            folder.rmdir()  # an empty one that came after another process had put its like away
        return
    away = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    with suppress(FileNotFoundError):
        folder.rename(away)
    shutil.rmtree(away, ignore_errors=True)


def clear_away(folder: Path) -> None:
    """Removes what killed processes had put away below a folder, but not removed yet."""
    for left in folder.glob(".*"):
        if _AWAY.fullmatch(left.name) and left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)


def _ours(path: Path) -> bool:
    return _OURS.fullmatch(path.name) is not None and not path.is_symlink() and path.is_dir() == path.name.isdecimal()
