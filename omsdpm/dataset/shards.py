"""A round's schedules in shards: claimed, measured anywhere, written atomically.

A shard is the unit that a killed worker costs. Its rows stand next to each other in the
trie of plans, so that a shard shares most of what the whole round would.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omsdpm.arrays import read_npz
from omsdpm.errors import InputError
from omsdpm.files import locked, replacing
from omsdpm.sampling import Count, walk_order
from omsdpm.scoring.measurement import Measurement, Meter
from omsdpm.scoring.reference import Progress
from omsdpm.solvers import Schedules


@dataclass(frozen=True)
class Shard:
    """Some rows of a round, by number, and their schedules."""

    number: int
    rows: np.ndarray
    X: Schedules

    def path(self, folder: Path) -> Path:
        """The shard's file once it is measured."""
        return folder / f"shard-{self.number:05d}.npz"


@dataclass(frozen=True)
class Measured:
    """A shard's scores and what they cost."""

    number: int
    rows: np.ndarray
    y: np.ndarray
    evaluations: int
    one_by_one: int
    seconds: float

    def write(self, path: Path) -> None:
        """Writes the shard's file, whole or not at all."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                rows=self.rows,
                y=self.y,
                cost=np.array([self.evaluations, self.one_by_one]),
                seconds=self.seconds,
            )

    @classmethod
    def read(cls, path: Path, shard: Shard) -> Measured:
        """Reads what :meth:`write` wrote of a shard.

        Raises:
            InputError: the file is damaged, or of other rows than the shard's.
        """
        size = len(shard.rows)
        largest = {"rows": 8 * size, "y": 8 * size, "cost": 16, "seconds": 8}
        try:
            arrays = read_npz(path, "shard", largest)
            shapes = {"rows": ("i", (size,)), "y": ("f", (size,)), "cost": ("i", (2,)), "seconds": ("f", ())}
            for name, (kind, shape) in shapes.items():
                array = arrays[name]
                if array.dtype.kind != kind or array.dtype.itemsize != 8 or array.shape != shape:
                    raise InputError(f"shard {path}: {name} is {array.dtype} {array.shape}, expected {kind}8 {shape}")
            if not np.array_equal(arrays["rows"], shard.rows):
                raise InputError(f"shard {path} is of other rows")
            if not (np.isfinite(arrays["y"]).all() and (arrays["cost"] >= 0).all() and arrays["seconds"] >= 0):
                raise InputError(f"shard {path} has scores or costs that are none")
        except InputError as error:
            if not path.exists():
                raise FileNotFoundError(str(path)) from error  # somebody else has merged it
            raise InputError(f"{error}; remove it, and it is measured again") from error
        evaluations, one_by_one = arrays["cost"].tolist()
        return cls(shard.number, shard.rows, arrays["y"], evaluations, one_by_one, float(arrays["seconds"]))


def is_whole(path: Path, shard: Shard) -> bool:
    """Whether a shard's file can be read and holds the shard's rows; an empty one, of a machine that stopped, is not.

    Raises:
        FileNotFoundError: there is no file.
    """
    try:
        Measured.read(path, shard)
    except InputError:
        return False
    return True


def scores_of(measured: list[Measured]) -> NDArray[np.float64]:
    """The scores of all shards in the order of the schedules that were cut, ``(n,)``."""
    y = np.empty(sum(len(part.rows) for part in measured))
    for part in measured:
        y[part.rows] = part.y
    return y


def cut(X: Schedules, measurement: Measurement, size: int) -> list[Shard]:
    """Shards of about ``size`` schedules, neighbors in the trie together."""
    if size < 1:
        raise InputError(f"shard size {size}: expected a positive number")
    order = walk_order(X, space=measurement.space, noise=measurement.noise, options=measurement.options)
    parts = np.array_split(order, max(1, -(-len(X) // size)))
    return [Shard(number, rows, X[rows]) for number, rows in enumerate(parts)]


def measure_shard(measurement: Measurement, shard: Shard, device: str, threads: int | None) -> Measured:
    """Samples and scores a shard; what a worker runs.

    A worker keeps the networks of its last measurement, so that only its first shard
    waits for them.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    count = Count()
    start = time.perf_counter()
    y = _meter(measurement, device).measure(shard.X, count=count)
    return Measured(shard.number, shard.rows, y, count.evaluations, count.one_by_one, time.perf_counter() - start)


def prepare(
    measurement: Measurement, device: str, threads: int | None, progress: Progress | None = None, *, keep: bool
) -> None:
    """Loads once what workers will load, so that what is wrong is said before anything is measured.

    The real images are computed with here, and kept on disk for the workers.

    Args:
        measurement, device, threads: as :func:`measure_shard` will have them.
        progress: told ``(images done, images)`` of the real ones.
        keep: this process will measure itself.

    Raises:
        InputError: something of the measurement cannot be used.
    """
    import torch

    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        _meter(measurement, device).prepare(progress)
    finally:
        if not keep:
            torch.set_num_threads(before)
            _meter.cache_clear()


@lru_cache(maxsize=1)
def _meter(measurement: Measurement, device: str) -> Meter:
    return measurement.open(device)


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Tries to claim a shard's file for this process; yields whether it did.

    The claim is a lock of the operating system, so it ends with the process however that
    ends, and another one can take the shard.
    """
    with locked(path.with_suffix(".lock"), timeout=0) as held:
        yield held
