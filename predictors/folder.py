"""A fitted predictor as a folder: ``predictor.json``, ``arrays.safetensors`` and a family's own files.

Nothing is pickled, so loading a predictor runs none of the file's code.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.noise import DiscreteVP, LinearVP, Noise
from omsdpm.solvers import ScheduleSpace, make_space

HEADER = "predictor.json"
ARRAYS = "arrays.safetensors"
FORMAT = 1


@contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary folder beside ``path`` and swaps it in if nothing failed.

    Raises:
        InputError: the place cannot be written, or holds something that is no predictor.
    """
    target = Path(path)
    if target.exists() and not (target / HEADER).is_file() and not (target.is_dir() and not any(target.iterdir())):
        raise InputError(f"{target} exists and is not a saved predictor; name another folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}; name a folder that can be written") from error
    old = temporary / "replaced"
    try:
        new = temporary / "new"
        new.mkdir()
        yield new
        if target.exists():
            target.rename(old)  # a folder that holds files cannot be renamed over
        new.rename(target)
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(temporary, ignore_errors=True)


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
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"no predictor in {folder}: {HEADER} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}; save the predictor again") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT or "class" not in header:
        raise InputError(f"{path} is not a predictor of format {FORMAT}; save the predictor again")
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
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read: {error}; save the predictor again") from error


def space_to_json(space: ScheduleSpace) -> dict[str, Any]:
    """What :func:`space_from_json` needs to make ``space`` again."""
    return {"solver": space.solver, "num_models": space.num_models, "length": space.length}


def space_from_json(data: Mapping[str, Any]) -> ScheduleSpace:
    """The space that :func:`space_to_json` described."""
    return make_space(data["solver"], data["num_models"], data["length"])


def noise_to_json(noise: Noise | None) -> dict[str, Any] | None:
    """What :func:`noise_from_json` needs to make ``noise`` again.

    Raises:
        InputError: a noise schedule of a class other than ours.
    """
    if noise is None:
        return None
    if isinstance(noise, LinearVP):
        return {"kind": "linear", **asdict(noise)}
    if isinstance(noise, DiscreteVP):
        return {"kind": "discrete", "betas": np.asarray(noise.betas).tolist()}
    raise InputError(f"a predictor with noise schedule {noise!r} cannot be saved; use LinearVP or DiscreteVP")


def noise_from_json(data: Mapping[str, Any] | None) -> Noise | None:
    """The noise schedule that :func:`noise_to_json` described."""
    if data is None:
        return None
    values = {name: value for name, value in data.items() if name != "kind"}
    return LinearVP(**values) if data["kind"] == "linear" else DiscreteVP(**values)


def _plain(value: Any) -> Any:
    """NumPy values as JSON knows them."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no place in {HEADER}")
