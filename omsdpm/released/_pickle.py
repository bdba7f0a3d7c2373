"""Opening the authors' ``.pth`` files without running anything that is in them.

A ``.pth`` is a pickle, and a pickle is a program. ``torch.load(weights_only=True)`` runs it in
an interpreter that knows tensors and plain containers only; the one thing added here, where
a file may hold NumPy values, is how NumPy spells a number or an array of numbers.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import pickletools
import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

from omsdpm.errors import InputError
from omsdpm.released._numpy import STAND_INS

# What a stream of wrong bytes makes the restricted interpreter raise; it has no error of
# its own for most of them.
_BROKEN = (
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def load_pth(path: str | Path, *, numpy_values: bool = False) -> Any:
    """What ``torch.save`` wrote to ``path``; tensors come to the CPU.

    Args:
        path: a file.
        numpy_values: also read NumPy numbers and arrays of numbers; an array comes as what
            :func:`omsdpm.released._numpy.unwrap` takes.

    Raises:
        InputError: no such file, an empty or truncated one, no ``torch.save`` file, or one
            that wants to run something else; nothing of it has run then.
    """
    import torch

    path = Path(path)
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise InputError(f"{path} is a folder: expected a .pth file")
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if size == 0:
        raise InputError(f"{path} is empty (0 bytes): copy or download it again")
    allowed: list[Any] = [*STAND_INS] if numpy_values else []
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(allowed):
            warnings.simplefilter("ignore")  # about pickle protocols; a failure is reported below
            return torch.load(path, map_location="cpu", weights_only=True)
    except _BROKEN as error:
        unsafe = sorted(_globals(path) - _known_globals(allowed))
        if unsafe:
            lightning = any(name.split(".")[0] in ("pytorch_lightning", "lightning") for name in unsafe)
            hint = "; it looks like a Lightning checkpoint, such as those of Stable Diffusion" if lightning else ""
            raise InputError(
                f"refused {path}: it wants to run {_printable(', '.join(unsafe[:5]))}, and a file of numbers needs "
                f"nothing but tensors and lists{hint}; nothing of it was run"
            ) from error
        raise InputError(
            f"{path} is truncated or no file that torch.save wrote ({_reason(error)}): copy or download it again"
        ) from error


def _known_globals(allowed: list[Any]) -> set[str]:
    from torch._weights_only_unpickler import _get_allowed_globals

    return {name for _, name in allowed} | set(_get_allowed_globals())


def _globals(path: Path) -> set[str]:
    """Every importable name in the file's pickles, read as text, without running them."""
    names: set[str] = set()
    for stream in _streams(path):
        strings: list[str] = []
        # An old torch.save file is several pickles in a row, then raw numbers.
        with contextlib.suppress(ValueError, IndexError, EOFError, struct.error):
            while True:
                for opcode, argument, _ in pickletools.genops(stream):
                    if opcode.name in ("GLOBAL", "INST"):
                        names.add(str(argument).replace(" ", "."))
                    elif opcode.name == "STACK_GLOBAL":
                        names.add(".".join(strings[-2:]))
                    elif isinstance(argument, str):
                        strings.append(argument)
    return names


def _streams(path: Path) -> list[io.BytesIO]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [io.BytesIO(archive.read(name)) for name in archive.namelist() if name.endswith(".pkl")]
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError):
        return [io.BytesIO(path.read_bytes())]


def _reason(error: BaseException) -> str:
    """One line of the error; torch puts the cause behind advice on how to run the file."""
    message = str(error)
    message = message.partition("WeightsUnpickler error:")[2] or message
    return _printable(next((line.strip() for line in message.splitlines() if line.strip()), type(error).__name__))


def _printable(text: str) -> str:
    """``text`` from a stranger's file, fit for one line of a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text[:200])
