"""A fitted predictor as a folder: ``predictor.json``, ``arrays.safetensors`` and a family's own files.

Nothing is pickled, so loading a predictor runs none of the file's code.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.files import sweep, temporary_prefix, to_disk
from omsdpm.noise import DiscreteVP, LinearVP, Noise, make_noise

HEADER = "predictor.json"
ARRAYS = "arrays.safetensors"
FORMAT = 2
"""Saved under the registered name; 1 had the class instead, and is read."""


NEW, REPLACED = "new", "replaced"
"""In the temporary folder beside a predictor: what will be it, and what it was."""


@contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary folder beside ``path`` and swaps it in if nothing failed.

    Killed at any moment it leaves the old folder or the new one. Where the system cannot exchange two
    folders in one step there is a moment in which neither has the name; :func:`recover` ends it.

    Raises:
        InputError: the place cannot be written, or holds something that is no predictor.
    """
    target = Path(path)
    recover(target)
    if target.exists() and not (target / HEADER).is_file() and not (target.is_dir() and not any(target.iterdir())):
        raise InputError(f"{target} exists and is not a saved predictor; name another folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent, target.name)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=temporary_prefix(target.name)))
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}; name a folder that can be written") from error
    old, new = temporary / REPLACED, temporary / NEW
    try:
        new.mkdir()
        yield new
        for item in (*new.rglob("*"), new):
            to_disk(item)
        if not target.exists():
            new.rename(target)
        elif not exchange(new, target):
            target.rename(old)  # a folder that holds files cannot be renamed over
            new.rename(target)
        to_disk(target.parent)
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(temporary, ignore_errors=True)


def exchange(one: Path, other: Path) -> bool:
    """Exchanges the names of two folders in one step; whether the system could."""
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return False
    here, exchanged = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    failed = library.renameat2(here, os.fsencode(one), here, os.fsencode(other), exchanged)
    if failed and ctypes.get_errno() == errno.ENOSPC:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(other))
    return not failed


def recover(folder: str | os.PathLike[str]) -> None:
    """Gives a predictor its name back whose replacement was killed between two renames."""
    target = Path(folder)
    if target.exists() or not target.parent.is_dir():
        return
    for name in (NEW, REPLACED):
        for left in sorted(target.parent.glob(f".{_literal(target.name)}-*/{name}")):
            if (left / HEADER).is_file() and (left.parent / REPLACED / HEADER).is_file():
                with suppress(OSError):
                    left.rename(target)
                    return


def _literal(name: str) -> str:
    """A name that a pattern takes as it is."""
    return "".join(f"[{letter}]" if letter in "[]*?" else letter for letter in name)


def write_header(folder: Path, header: Mapping[str, Any]) -> None:
    """Writes ``predictor.json``."""
    text = json.dumps({"format": FORMAT, **header}, indent=2, default=_plain, allow_nan=False)
    (folder / HEADER).write_text(text + "\n", encoding="utf-8")


def read_header(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads ``predictor.json``.

    Raises:
        InputError: missing, damaged, or of a later format.
    """
    path = Path(folder) / HEADER
    recover(folder)
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"no predictor in {folder}: {HEADER} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}; save the predictor again") from error
    if not isinstance(header, dict) or not isinstance(header.get("format"), int):
        raise InputError(f"{path} is not a predictor; save the predictor again")
    if header["format"] > FORMAT:
        raise InputError(
            f"{path} has format {header['format']}, this version reads up to {FORMAT}: update omsdpm, or fit again"
        )
    if header["format"] == 1 and isinstance(header.get("class"), str):
        # Classes had the name of their module then: predictors.lstm_paper:LSTMPaperPredictor.
        header["predictor"] = header["class"].partition(":")[0].rpartition(".")[2].replace("_", "-")
    if not isinstance(header.get("predictor"), str):
        raise InputError(f"{path} does not name its predictor; save the predictor again")
    return header


def write_arrays(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes ``arrays.safetensors``."""
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / ARRAYS)


def read_arrays(folder: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Reads ``arrays.safetensors``.

    Raises:
        InputError: missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = Path(folder) / ARRAYS
    try:
        with path.open("rb"):  # safetensors calls a file that may not be read one that is not there
            pass
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read: {error}; save the predictor again") from error


def noise_from_json(data: Mapping[str, Any] | None) -> Noise | None:
    """The noise schedule that ``noise.table()`` described.

    Raises:
        InputError: a kind that is not installed, or values that are none.
    """
    if data is None:
        return None
    table = dict(data)
    if "beta_0" in table:  # what folders of the first format called it
        table["kind"] = LinearVP.kind
    elif table.get("kind") == "discrete":
        table["kind"] = DiscreteVP.kind
    return make_noise(table)


def _plain(value: Any) -> Any:
    """NumPy values as JSON knows them."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no place in {HEADER}")
