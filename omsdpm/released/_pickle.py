"""Opening the authors' ``.pth`` files without running anything that is in them.

A ``.pth`` is a pickle, and a pickle is a program. ``torch.load(weights_only=True)`` runs it in
an interpreter that knows tensors and plain containers only; the one thing added here, where
a file may hold NumPy values, is how NumPy spells a number or an array of numbers.
"""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

from omsdpm.errors import InputError
from omsdpm.files import regular_file
from omsdpm.released._bounds import check_archive, check_content, check_sums, is_binary_codec, is_plain, opcodes
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

    path = regular_file(path, "expected a .pth file")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes): copy or download it again")
    allowed: list[Any] = [*STAND_INS] if numpy_values else []
    archive = check_archive(path)
    if archive:
        check_sums(path)
    _check_names(path, allowed)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(allowed):
            warnings.simplefilter("ignore")  # about pickle protocols; a failure is reported below
            # Mapped, a storage cannot claim more than the file has.
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except _BROKEN as error:
        raise InputError(
            f"{path} is truncated or no file that torch.save wrote ({_reason(error)}): copy or download it again"
        ) from error
    check_content(content, path)
    return content


def _check_names(path: Path, allowed: list[Any]) -> None:
    """Raises :class:`InputError` for a file that names what a file of numbers does not need."""
    names, words = _globals(path)
    unsafe = sorted(names - _known_globals(allowed))
    if unsafe:
        lightning = any(name.split(".")[0] in ("pytorch_lightning", "lightning") for name in unsafe)
        hint = "; it looks like a Lightning checkpoint, such as those of Stable Diffusion" if lightning else ""
        raise InputError(
            f"refused {path}: it wants to run {_printable(', '.join(unsafe[:5]))}, and a file of numbers needs "
            f"nothing but tensors and lists{hint}; nothing of it was run"
        )
    special = sorted(name for name in names - {name for _, name in allowed} if not is_plain(name))
    special += sorted(f"the codec {word}" for word in words if "_codecs.encode" in names and is_binary_codec(word))
    if special:
        raise InputError(f"refused {path}: it needs {_printable(', '.join(special[:5]))}; expected plain tensors only")


def _known_globals(allowed: list[Any]) -> set[str]:
    from torch._weights_only_unpickler import _get_allowed_globals

    return {name for _, name in allowed} | set(_get_allowed_globals())


def _globals(path: Path) -> tuple[set[str], set[str]]:
    """Every importable name in the file's pickles, and every short word."""
    names: set[str] = set()
    words: set[str] = set()
    strings = ["", ""]
    for opcode, argument in opcodes(path):
        if opcode in ("GLOBAL", "INST"):
            names.add(str(argument).replace(" ", ".").replace("__builtin__.", "builtins."))  # as Python 2 called it
        elif opcode == "STACK_GLOBAL":
            names.add(".".join(strings))
        elif isinstance(argument, str):
            strings = [strings[1], argument]
            if len(argument) <= 20:
                words.add(argument)
    return names, words


def _reason(error: BaseException) -> str:
    """One line of the error; torch puts the cause behind advice on how to run the file."""
    message = str(error)
    message = message.partition("WeightsUnpickler error:")[2] or message
    return _printable(next((line.strip() for line in message.splitlines() if line.strip()), type(error).__name__))


def _printable(text: str) -> str:
    """``text`` from a stranger's file, fit for one line of a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text[:200])
