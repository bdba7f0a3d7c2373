"""Arrays from files that others made: what is claimed is checked before memory is taken for it."""

from __future__ import annotations

import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError, one_line
from omsdpm.files import regular_file

BROKEN = (
    EOFError,
    LookupError,  # a header without a key
    NotImplementedError,  # a method of compression that Python does not know
    OSError,
    OverflowError,
    RuntimeError,  # an archive with a password, or a header that nests too deeply
    SyntaxError,  # a header that is no Python literal
    TypeError,
    ValueError,
    tokenize.TokenError,  # a header of Python 2, as NumPy takes one that is no literal for
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a damaged archive raises."""


def read_npz(
    path: str | os.PathLike[str], what: str, largest: Mapping[str, int], optional: frozenset[str] = frozenset()
) -> dict[str, NDArray[Any]]:
    """Some arrays of an ``.npz``, as a dictionary by key.

    Args:
        path: the archive, compressed or not.
        what: the file in a word, for errors.
        largest: keys to read, and most bytes that each may have.
        optional: those of the keys that need not be there.

    Raises:
        InputError: no such file, not an ``.npz``, a key is missing, or an array that is larger than
            expected or holds something other than numbers.
    """
    expected = f"expected an .npz with the keys {' and '.join(key for key in largest if key not in optional)}"
    path = regular_file(path, expected, f"{what} {Path(path)}")
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with path.open("rb") as file:
            if file.read(6) == b"\x93NUMPY":
                raise InputError(f"{what} {path} are a single array: {expected}")
        with zipfile.ZipFile(path) as archive:
            there = {name.removesuffix(".npy"): name for name in archive.namelist()}
            missing = [key for key in largest if key not in there and key not in optional]
            if missing:
                raise InputError(f"{what} {path} lack {' and '.join(missing)}: it holds {', '.join(there)}")
            for key in largest:
                if key in there:
                    with archive.open(there[key]) as entry:
                        check_header(entry, archive.getinfo(there[key]).file_size, largest[key], f"{path}: {key}")
                    with archive.open(there[key]) as entry:
                        arrays[key] = np.lib.format.read_array(entry, allow_pickle=False)
    except InputError:
        raise
    except BROKEN as error:
        raise InputError(f"{what} {path} is no readable .npz: {one_line(error) or type(error).__name__}") from error
    return arrays


def npz_shapes(path: str | os.PathLike[str], what: str, expected: str) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays of an ``.npz`` by key; nothing else of them is read.

    Args:
        path: the archive.
        what: the file in a word, for errors.
        expected: what it should be, for errors.

    Raises:
        InputError: no such file, or not an ``.npz``.
    """
    path = regular_file(path, expected, f"{what} {Path(path)}")
    try:
        with path.open("rb") as file:
            if file.read(6) == b"\x93NUMPY":
                raise InputError(f"{what} {path} are a single array: {expected}")
        with zipfile.ZipFile(path) as archive:
            shapes = {}
            for name in archive.namelist():
                with archive.open(name) as entry:
                    shapes[name.removesuffix(".npy")] = _header(entry)[0]
        return shapes
    except InputError:
        raise
    except BROKEN as error:
        raise InputError(f"{what} {path} is no readable .npz: {one_line(error) or type(error).__name__}") from error


def npz_rows(path: str | os.PathLike[str], key: str, rows: int, what: str) -> Iterator[NDArray[Any]]:
    """The numbers of one array of an ``.npz``, some rows at a time, so that it need not fit in memory.

    Args:
        path: the archive, known to have the key.
        key: of the array, ``(n, ...)``.
        rows: of each part, ``(rows, ...)``; the last may have fewer.
        what: the file in a word, for errors.

    Raises:
        InputError: it is damaged, in Fortran's order, or holds something other than numbers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = key if key in archive.namelist() else f"{key}.npy"
            size = archive.getinfo(name).file_size
            with archive.open(name) as entry:
                check_header(entry, size, size, f"{path}: {key}")
            with archive.open(name) as entry:
                shape, fortran, dtype = _header(entry)
                if fortran or not shape:
                    raise InputError(f"{what} {path}: {key} is not in rows: save it with np.ascontiguousarray")
                one = int(np.prod(shape[1:], dtype=object)) * dtype.itemsize
                for at in range(0, shape[0], rows):
                    count = min(rows, shape[0] - at)
                    if len(data := entry.read(count * one)) < count * one:
                        raise InputError(f"{what} {path}: {key} ends after {at} of {shape[0]} rows: copy it again")
                    yield np.frombuffer(data, dtype).reshape(count, *shape[1:])
    except InputError:
        raise
    except BROKEN as error:
        raise InputError(f"{what} {path} is no readable .npz: {one_line(error) or type(error).__name__}") from error


def read_npy(path: str | os.PathLike[str], what: str, largest: int) -> NDArray[Any]:
    """The numbers of an ``.npy``.

    Args:
        path: the file.
        what: the file in a word, for errors.
        largest: most bytes that the array may have.

    Raises:
        InputError: no such file, not an ``.npy``, or an array that is larger than the file or than
            expected, or holds something other than numbers.
    """
    path = regular_file(path, "expected an .npy", f"{what} {Path(path)}")
    try:
        with path.open("rb") as file:
            check_header(file, path.stat().st_size, largest, f"{what} {path}")
            file.seek(0)
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    except InputError:
        raise
    except BROKEN as error:
        raise InputError(f"{what} {path} is no readable .npy: {one_line(error) or type(error).__name__}") from error
    return array


def check_header(file: IO[bytes], claimed: int, largest: int, where: str) -> None:
    """Raises :class:`InputError` for a ``.npy`` whose header claims more than ``claimed`` or ``largest`` bytes."""
    shape, _, dtype = _header(file)
    if dtype.hasobject or dtype.kind not in "iuf":
        raise InputError(f"{where} holds {dtype}, expected numbers")
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize if shape else dtype.itemsize
    if size > largest:
        raise InputError(f"{where} has shape {shape}, {size} bytes; expected {largest} at most")
    held = claimed - file.tell()
    if size > held:
        raise InputError(f"{where} has shape {shape} and {held} bytes, expected {size}")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran's order, and type of a ``.npy``."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    header: tuple[tuple[int, ...], bool, np.dtype[Any]] = read(file)
    return header
