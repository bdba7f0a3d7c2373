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
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from omsdpm.errors import InputError, one_line
from omsdpm.files import regular_file, sweep, temporary_prefix, to_disk
from omsdpm.noise import DiscreteVP, LinearVP, Noise, make_noise
from omsdpm.seeds import Seed
from omsdpm.solvers.options import SolverOptions
from omsdpm.solvers.table import SpaceTable
from omsdpm.tables import model_of, read_json, read_table
from predictors.targets import TargetScale

HEADER = "predictor.json"
ARRAYS = "arrays.safetensors"
FORMAT = 3
"""With types and shapes of the arrays; 2 did not say them, 1 had the class for the registered name. Both are read."""

SHAPES_SINCE = 3
"""Format whose headers say types and shapes."""

AGAIN = "save the predictor again"


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


class Header(BaseModel):
    """What ``predictor.json`` says.

    Attributes:
        format: of the folder.
        predictor: the family's registered name.
        space: of the schedules.
        noise: a table for :func:`omsdpm.noise.make_noise`.
        options: of the solver; folders of the first format do not say.
        parameters: of the family but for those above, see :func:`parameters_of_table`.
        target: the scale of scores.
        learned: the family's own values.
        arrays: type and shape of each array; folders before the third format do not say.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    format: Annotated[int, Field(ge=1, le=FORMAT)]
    predictor: str
    space: SpaceTable
    noise: dict[str, Any] | None
    options: SolverOptions | None = None
    parameters: dict[str, Any]
    target: TargetScale
    learned: dict[str, Any]
    arrays: dict[str, tuple[str, tuple[Annotated[int, Field(ge=0)], ...]]] | None = None

    @model_validator(mode="after")
    def _check_arrays_described(self) -> Self:
        if self.arrays is None and self.format >= SHAPES_SINCE:
            raise ValueError(f"format {self.format} without arrays, expected their types and shapes")
        return self


def read_header(folder: str | os.PathLike[str]) -> Header:
    """Reads ``predictor.json``.

    Raises:
        InputError: missing, damaged, or of a later format.
    """
    path = Path(folder) / HEADER
    recover(folder)
    return read_table(Header, _named(path), str(path))


def predictor_name(folder: str | os.PathLike[str]) -> str:
    """The name of the family that saved a folder, which need not be installed to read the rest.

    Raises:
        InputError: no predictor there, or one of a later format.
    """
    recover(folder)
    name: str = _named(Path(folder) / HEADER)["predictor"]
    return name


def _named(path: Path) -> dict[str, Any]:
    """What a header says, known to name its predictor and to be of a format that is read."""
    folder = path.parent
    if not path.is_file():
        raise InputError(f"no predictor in {folder}: {HEADER} cannot be read ({_missing(path)})")
    header = read_json(path, AGAIN)
    if not isinstance(header, dict) or type(header.get("format")) is not int:
        raise InputError(f"{path} is not a predictor; {AGAIN}")
    if header["format"] > FORMAT:
        shown = header["format"] if header["format"] < 10**6 else "of many digits"
        raise InputError(f"{path} has format {shown}, this version reads up to {FORMAT}: update omsdpm, or fit again")
    if header["format"] == 1 and isinstance(header.get("class"), str):
        # Classes had the name of their module then: predictors.lstm_paper:LSTMPaperPredictor.
        header["predictor"] = header.pop("class").partition(":")[0].rpartition(".")[2].replace("_", "-")
    if not isinstance(header.get("predictor"), str):
        raise InputError(f"{path} does not name its predictor; {AGAIN}")
    return header


def parameters_of_table(family: type, table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A family's parameters as a header has them, of the types that its ``__init__`` declares.

    Args:
        family: a class of predictors; a parameter without an annotation takes any value.
        table: all but those that a header has beside ``parameters``.
        where: the file, for errors.

    Raises:
        InputError: a parameter that the family does not have, or a value of another type.
    """
    model = model_of(family, without=("space", "noise", "options"), given={"random_state": Seed | None})
    return {name: value for name, value in read_table(model, table, where) if name in table}


def _missing(path: Path) -> str:
    try:
        path.stat()
    except OSError as error:
        return str(error.strerror)
    return "it is no file"


def write_arrays(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes ``arrays.safetensors``."""
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / ARRAYS)


def described(arrays: Mapping[str, NDArray[Any]]) -> dict[str, tuple[str, list[int]]]:
    """Types and shapes of arrays, as a header has them."""
    return {name: (array.dtype.name, list(array.shape)) for name, array in arrays.items()}


def read_arrays(folder: str | os.PathLike[str], header: Header | None = None) -> dict[str, NDArray[Any]]:
    """Reads ``arrays.safetensors``.

    Args:
        folder: of the predictor.
        header: its header, which may say types and shapes.

    Raises:
        InputError: missing or damaged, an array of another type or shape than the header's, or NaN.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = regular_file(Path(folder) / ARRAYS, f"expected the predictor's arrays; {AGAIN}")
    try:
        arrays: dict[str, NDArray[Any]] = load_file(path)
    except (OSError, SafetensorError, KeyError, ValueError) as error:  # a type that NumPy does not know is a KeyError
        raise InputError(f"{path} cannot be read: {one_line(error)[:200]}; {AGAIN}") from error
    if header is not None and header.arrays is not None:
        shapes = {name: (kind, list(shape)) for name, (kind, shape) in header.arrays.items()}
        if (there := described(arrays)) != shapes:
            name = next(name for name in {**shapes, **there} if there.get(name) != shapes.get(name))
            got, wanted = (" ".join(map(str, one[name])) if name in one else "none" for one in (there, shapes))
            raise InputError(f"{path}: {name} is {got}, {HEADER} says {wanted}; {AGAIN}")
    for name, array in arrays.items():
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise InputError(f"{path}: {name} holds NaN; {AGAIN}")
    return arrays


def expect(
    arrays: Mapping[str, NDArray[Any]],
    shapes: Mapping[str, tuple[Any, tuple[int | None, ...]]],
    infinite: frozenset[str] = frozenset(),
) -> None:
    """Raises ``ValueError`` for arrays of other names, types or shapes than a family's, or with infinity.

    Args:
        arrays: by name.
        shapes: type and shape by name; ``None`` in a shape is any length from 1.
        infinite: those that may hold infinity.
    """
    for name in {**shapes, **arrays}:
        if name not in arrays:
            raise ValueError(f"the array {name!r} is lacking")
        if name not in shapes:
            raise ValueError(f"an array {name!r}, which it does not have")
        array, (kind, shape) = arrays[name], shapes[name]
        fits = len(array.shape) == len(shape) and all(
            (there > 0 if wanted is None else there == wanted) for there, wanted in zip(array.shape, shape, strict=True)
        )
        if array.dtype != kind or not fits:
            wanted_shape = tuple("n" if size is None else size for size in shape)
            raise ValueError(f"{name} is {array.dtype} {array.shape}, expected {np.dtype(kind)} {wanted_shape}")
        if array.dtype.kind == "f" and name not in infinite and not np.isfinite(array).all():
            raise ValueError(f"{name} holds infinity")


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
