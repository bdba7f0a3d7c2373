"""What a file claims to hold, against its size and what is expected, before memory is taken for it.

A few hundred bytes can claim terabytes: a view that repeats one number, a list that holds
another ten times over and so on, an archive of zeros. Nothing of the release does.
"""

from __future__ import annotations

import codecs
import pickletools
import struct
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from omsdpm.arrays import BROKEN
from omsdpm.errors import InputError

PICKLE_BYTES = 16 * 2**20
"""Longest pickle; lists of a million member numbers take two."""

SHARED = 8
"""How often a file's numbers may be repeated by reference, on the average."""

DEPTH = 64
"""Deepest nesting of a file's containers."""

_PICKLES = 5
"""In a file of torch before 1.6: magic number, version, system, content, keys of storages."""

_PLAIN = frozenset(
    {"_codecs.encode", "builtins.complex", "builtins.set", "collections.OrderedDict", "torch.Size", "torch.device"}
    | {f"torch._utils._rebuild_{what}" for what in ("parameter", "parameter_with_state", "tensor", "tensor_v2")}
    | {"torch._utils._rebuild_tensor_v3", "torch.nn.parameter.Parameter"}
    | {f"torch.{name}" for name in ("bfloat16", "bool", "complex64", "complex128", "uint8")}
    | {f"torch.{kind}{bits}" for kind, bits in (("float", 16), ("float", 32), ("float", 64), ("int", 8))}
    | {f"torch.int{bits}" for bits in (16, 32, 64)}
)
"""What torch's names in a file of plain tensors are, beside its storages."""


BLOCK = 2**22
"""Bytes that are read at once."""


def is_plain(name: str) -> bool:
    """A name that files of plain tensors have; not those of sparse, quantized or meta tensors, or of buffers."""
    storage = name.startswith(("torch.", "torch.cuda.")) and name.endswith("Storage") and ".Q" not in name
    return name in _PLAIN or storage


def check_archive(path: Path) -> bool:
    """Whether the file is a zip archive, and if so one that claims no more than it holds.

    Raises:
        InputError: its entries claim more bytes than the file has, or a pickle is too long.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, RuntimeError, ValueError, OSError):
        return False
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise InputError(f"{path} is a compressed archive, which torch.save does not write: unpack or save it again")
    claimed, size = sum(entry.file_size for entry in entries), path.stat().st_size
    if claimed > size:
        raise InputError(f"{path} claims to hold {claimed} bytes in {size}: copy or download it again")
    for entry in entries:
        if entry.filename.endswith(".pkl") and entry.file_size > PICKLE_BYTES:
            raise InputError(
                f"{path} has a pickle of {entry.file_size} bytes: expected {PICKLE_BYTES} at most, as tensors are "
                "beside it"
            )
    return True


def check_sums(path: Path) -> None:
    """Compares an archive's entries with their checksums, which torch writes and does not look at.

    Raises:
        InputError: an entry is not what was written; a weight that lost a bit is a number like any other.
    """
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.CRC == 0:  # torch.serialization.set_crc32_options(False) writes none
                continue
            try:
                with archive.open(entry) as file:
                    while file.read(BLOCK):
                        pass
            except BROKEN as error:
                raise InputError(
                    f"{path} is damaged: {entry.filename[:80]!r} does not have the checksum that it was written with; "
                    "copy or download it again"
                ) from error


def opcodes(path: Path) -> Iterator[tuple[str, Any]]:
    """Name and argument of every operation of the file's pickles, read as text, without running them.

    Raises:
        InputError: a pickle is too long.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".pkl"):
                    with archive.open(name) as file:
                        yield from _opcodes(file, path, 1)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, RuntimeError, OSError, UnicodeDecodeError):
        with path.open("rb") as file:
            yield from _opcodes(file, path, _PICKLES)


def _opcodes(file: IO[bytes], path: Path, count: int) -> Iterator[tuple[str, Any]]:
    at: int | None = 0
    with suppress(ValueError, IndexError, EOFError, struct.error):  # the interpreter says what is broken
        for _ in range(count):
            for opcode, argument, at in pickletools.genops(file):
                if at is not None and at > PICKLE_BYTES:
                    break
                yield opcode.name, argument
            if at is not None and at > PICKLE_BYTES:
                break
    if at is not None and at > PICKLE_BYTES:
        raise InputError(f"{path} has a pickle of more than {PICKLE_BYTES} bytes: expected a shorter one")


def is_binary_codec(text: Any) -> bool:
    """Whether a text names a codec that makes bytes longer, such as ``hex``; a file's bytes are Latin-1."""
    if not isinstance(text, str) or len(text) > 20:
        return False
    try:
        return not getattr(codecs.lookup(text), "_is_text_encoding", True)
    except (LookupError, ValueError):
        return False


def check_content(content: Any, path: Path) -> None:
    """Raises :class:`InputError` for content that would grow when it is read: see the module."""
    size = path.stat().st_size
    try:
        numbers = _expanded(content, {}, DEPTH)
    except _TooLargeError as error:
        raise InputError(f"refused {path}: it holds {error}; expected plain tensors, lists and numbers") from None
    if numbers > SHARED * size:
        raise InputError(
            f"refused {path}: it claims {numbers:.3g} values in {size} bytes, by repeating the same ones; "
            "expected each to be there"
        )


class _TooLargeError(Exception):
    pass


def _expanded(value: Any, known: dict[int, float], depth: int) -> float:
    """How many numbers and words ``value`` has when nothing of it is shared."""
    if depth == 0:
        raise _TooLargeError(f"containers within containers, more than {DEPTH} deep")
    key = id(value)
    if key in known:
        if known[key] == float("inf"):
            raise _TooLargeError("lists within lists without end, for one holds itself")
        return known[key]
    if isinstance(value, dict):
        parts: Any = [*value.keys(), *value.values()]
    elif isinstance(value, (list, tuple, set)):
        parts = value
    elif hasattr(value, "untyped_storage"):
        return _numbers(value)
    else:
        array = getattr(value, "array", None)  # NumPy's stand-in
        return 1.0 if array is None else float(max(array.size, 1))
    known[key] = float("inf")
    known[key] = 1.0 + sum(_expanded(part, known, depth - 1) for part in parts)
    return known[key]


def _numbers(tensor: Any) -> float:
    import torch

    if tensor.is_meta or tensor.is_quantized or tensor.layout is not torch.strided or tensor.is_nested:
        kind = "a meta" if tensor.is_meta else "a quantized" if tensor.is_quantized else "a sparse or nested"
        raise _TooLargeError(f"{kind} tensor")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise _TooLargeError(f"a tensor of shape {tuple(tensor.shape)} with fewer numbers than that")
    return float(max(tensor.numel(), 1))
