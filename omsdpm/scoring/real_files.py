"""Files of real images, or of what a network made of them: whatever the field's tools write.

| file | what is in it |
|---|---|
| ``.npz`` with ``mu`` and ``sigma`` | statistics: pytorch-fid's, clean-fid's, torch-fidelity's, guided-diffusion's |
| ``.npz`` with ``arr_0`` | images ``(n, H, W, C)`` of bytes: guided-diffusion's, perhaps with statistics beside |
| ``.npz`` with ``feats`` | features ``(n, d)``: clean-fid's for KID |
| ``.pth``, ``.pt`` | statistics: the release's (``m``, ``s``), torch-fidelity's cache; or its cache of features |
| ``.parquet``, or a folder of them | encoded images, as Hugging Face's datasets keep them |
"""

from __future__ import annotations

import io
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.arrays import npz_rows, npz_shapes
from omsdpm.errors import InputError, one_line
from omsdpm.fid.statistics import FEATURES as MOST_FEATURES
from omsdpm.fid.statistics import Statistics
from omsdpm.images import Images, Size, decode_image, from_uint8

Array = NDArray[np.float64]

EXPECTED = (
    "expected a folder of images, an .npz with mu and sigma (pytorch-fid), arr_0 (guided-diffusion) or feats "
    "(clean-fid), a .pth with statistics, or a .parquet of images"
)
"""What real images may be, for errors."""

SAMPLES, FEATURES = "arr_0", "feats"
"""Keys of an ``.npz``."""

COLUMNS = ("image", "img")
"""What Hugging Face's datasets call the column of images."""

PARQUET = ".parquet"

PIXELS = 2**26
"""Most of an image in an ``.npz``."""


class RealFile(ABC):
    """What a file says of real images; ``None`` for what it does not say.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def statistics(self) -> Statistics | None:
        """Mean and covariance of features.

        Raises:
            InputError: they cannot be used.
        """
        return None

    def features(self) -> Array | None:
        """Features ``(n, d)``.

        Raises:
            InputError: they cannot be used.
        """
        return None

    @property
    @abstractmethod
    def count(self) -> int | None:
        """How many images it has.

        Raises:
            InputError: it cannot be read.
        """

    def images(self, batch: int, size: Size, channels: int) -> Iterator[Images]:
        """The images, ``(b, channels, size, size)`` in ``[-1, 1]``, resized.

        Raises:
            InputError: one that cannot be read.
        """
        return iter(())


class ArchiveFile(RealFile):
    """An ``.npz``."""

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of its arrays."""
        return npz_shapes(self.path, "statistics", EXPECTED)

    def statistics(self) -> Statistics | None:
        """Of its ``mu`` and ``sigma``."""
        # One that holds nothing known is said to lack mu and sigma.
        known = SAMPLES in self.shapes or FEATURES in self.shapes
        return None if known and "mu" not in self.shapes else Statistics.read(self.path)

    def features(self) -> Array | None:
        """Its ``feats``."""
        if FEATURES not in self.shapes:
            return None
        shape = self.shapes[FEATURES]
        if len(shape) != 2 or not 0 < shape[1] <= MOST_FEATURES:
            raise InputError(
                f"features {self.path}: {FEATURES} has shape {shape}, expected (n, d) with d to {MOST_FEATURES}"
            )
        return np.concatenate(list(npz_rows(self.path, FEATURES, 10_000, "features"))).astype(np.float64)

    @property
    def count(self) -> int | None:
        """Images in ``arr_0``."""
        return self.shapes[SAMPLES][0] if SAMPLES in self.shapes else None

    def images(self, batch: int, size: Size, channels: int) -> Iterator[Images]:
        """Those of ``arr_0``."""
        shape = self.shapes[SAMPLES]
        sides = 0 < math.prod(shape[1:3]) <= PIXELS
        if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)) or not sides:
            raise InputError(f"images {self.path}: {SAMPLES} has shape {shape}, expected (n, H, W, C) with C 1 or 3")
        for pixels in npz_rows(self.path, SAMPLES, batch, "images"):
            if pixels.dtype != np.uint8:
                raise InputError(f"images {self.path}: {SAMPLES} holds {pixels.dtype}, expected bytes (uint8)")
            yield from_uint8(pixels, size, channels)


class SavedFile(RealFile):
    """What ``torch.save`` wrote: a dictionary of statistics, or features."""

    def statistics(self) -> Statistics | None:
        """Of its ``mu`` and ``sigma``, or ``m`` and ``s``."""
        return Statistics.read(self.path) if self._features is None else None

    def features(self) -> Array | None:
        """The tensor that it is."""
        return self._features

    @cached_property
    def _features(self) -> Array | None:
        import torch

        from omsdpm.released._pickle import load_pth

        content = load_pth(self.path, numpy_values=True)
        if not isinstance(content, torch.Tensor):
            return None
        if content.ndim != 2 or not content.is_floating_point():
            raise InputError(
                f"features {self.path}: {content.dtype} of shape {tuple(content.shape)}, expected floats (n, d)"
            )
        return content.double().numpy()

    @property
    def count(self) -> int | None:
        """No images."""
        return None


class ParquetFile(RealFile):
    """Encoded images in a column of bytes, or of structures with ``bytes``, of one file or of all of a folder."""

    @cached_property
    def _files(self) -> list[Any]:
        """The opened shards and the names of their columns of images."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        paths = parquet_paths(self.path)
        try:
            files = [pq.ParquetFile(path) for path in paths]
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"cannot read images {self.path}: {one_line(error)}") from error
        return [(file, _column(file.schema_arrow, self.path)) for file in files]

    @property
    def count(self) -> int:
        """Rows of all shards."""
        return sum(file.metadata.num_rows for file, _ in self._files)

    def images(self, batch: int, size: Size, channels: int) -> Iterator[Images]:
        """Those of all shards."""
        import pyarrow as pa

        done = 0
        for file, column in self._files:
            try:
                parts = file.iter_batches(batch_size=batch, columns=[column])
                for part in parts:
                    cells = part.column(part.schema.names.index(column)).to_pylist()
                    yield np.stack([self._image(cell, done + at, size, channels) for at, cell in enumerate(cells)])
                    done += len(cells)
            except (OSError, pa.ArrowException) as error:
                raise InputError(f"cannot read images {self.path}: {one_line(error)}") from error

    def _image(self, cell: Any, row: int, size: Size, channels: int) -> Images:
        encoded = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(encoded, bytes):
            raise InputError(f"cannot read image {self.path}, row {row}: it holds no bytes, perhaps only a path")
        return decode_image(io.BytesIO(encoded), f"image {self.path}, row {row}", size, channels)


def _column(schema: Any, path: Path) -> str:
    """The name of the column of images."""
    import pyarrow as pa

    def binary(kind: Any) -> bool:
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    def encoded(kind: Any) -> bool:
        if pa.types.is_struct(kind):
            inner = kind.get_field_index("bytes")
            return inner >= 0 and binary(kind.field(inner).type)
        return binary(kind)

    names: list[str] = [field.name for field in schema if encoded(field.type)]
    chosen = [name for name in COLUMNS if name in names] or names
    if len(chosen) == 1 or (chosen and chosen[0] in COLUMNS):
        return chosen[0]
    what = f"several columns of bytes ({', '.join(names)})" if names else "no column of bytes"
    raise InputError(f"images {path} have {what}: expected one of encoded images, called image or img")


def parquet_paths(path: Path) -> list[Path]:
    """A Parquet file itself, or those of a folder and below, in the order of their paths."""
    return sorted(path.rglob(f"*{PARQUET}")) if path.is_dir() else [path]


def real_file(path: Path) -> RealFile:
    """What a file, or a folder of Parquet files, says of real images, by how its name ends."""
    if path.is_dir() or path.suffix.lower() == PARQUET:
        return ParquetFile(path)
    return SavedFile(path) if path.suffix.lower() in (".pth", ".pt") else ArchiveFile(path)
