"""What real images look like to a feature network: their statistics, or their features as they are.

Images are read in batches, so that a folder of any size will do, and the result is kept on disk
under a digest of the images' bytes and of the network, so that it is computed once.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.fid.statistics import Moments, Statistics
from omsdpm.files import replacing
from omsdpm.images import SUFFIXES, Size, image_paths, load_digits_images, read_images
from omsdpm.scoring.cache import cache_folder, one_at_a_time
from omsdpm.scoring.features.base import FeatureNetwork
from omsdpm.scoring.features.opening import DIGEST_SIZE, content_digest, file_digest
from omsdpm.scoring.real_files import EXPECTED, PARQUET, RealFile, parquet_paths, real_file

BATCH = 256

DIGITS = "digits"
"""The name of the embedded reference images, scikit-learn's digits."""

DIGITS_SHAPE = (1, 8, 8)
"""Of the digits' images."""

Progress = Callable[[int, int], object]
"""Called as ``(images done, images)`` after each batch."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """Real images that sampled ones are compared with.

    Attributes:
        source: ``"digits"``, a folder of images, or a file, see :mod:`omsdpm.scoring.real_files`.
        shape: ``(C, H, W)`` of the sampled images, to which the real ones are resized.

    Raises:
        InputError: the digits for images of another shape.
    """

    source: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.source == DIGITS and tuple(self.shape) != DIGITS_SHAPE:
            raise InputError(
                f"images of {'x'.join(map(str, self.shape))} have no likeness to scikit-learn's digits, "
                f"{'x'.join(map(str, DIGITS_SHAPE))}: give a reference, a folder of real images or pytorch-fid's .npz"
            )

    def check(self) -> None:
        """Raises :class:`InputError` if there is no such file or folder."""
        if self.source != DIGITS and not Path(self.source).exists():
            raise InputError(f"cannot read reference {self.source}: {EXPECTED}")

    @cached_property
    def _file(self) -> RealFile | None:
        """What is no folder of images, nor the digits."""
        path = Path(self.source)
        if self.source == DIGITS or (path.is_dir() and not _of_parquet(path)):
            return None
        return real_file(path)

    def digest(self) -> str:
        """The name of the digits; else a digest of the files' bytes, wherever they lie.

        Raises:
            InputError: one that cannot be read.
        """
        return reference_digest(self.source)

    def statistics(self, features: str, network: Callable[[], FeatureNetwork], progress: Progress | None) -> Statistics:
        """Mean and covariance of the images' features.

        Args:
            features: digest of the network.
            network: gives it, where nothing is kept.
            progress: told the images done.

        Raises:
            InputError: no such file or folder, or one that cannot be used with this network.
        """
        if (file := self._file) is not None:
            if (rows := file.features()) is not None:
                self._check_dim(rows.shape[1], network())
                return Statistics.of(rows)
            statistics = file.statistics()
            # Of images that lie beside, those of another network can be made.
            if statistics is not None and (file.count is None or statistics.dim == self._dim(network())):
                self._check_dim(statistics.dim, network())
                return statistics
        return self._kept(
            "statistics", features, Statistics.read, lambda value, path: value.write(path),
            lambda: _moments(network(), self._batches(), progress),
        )  # fmt: skip

    def features(self, features: str, network: Callable[[], FeatureNetwork], progress: Progress | None) -> Array:
        """The images' features, ``(m, d)``; arguments as of :meth:`statistics`.

        Raises:
            InputError: as :meth:`statistics`, or statistics where images are needed.
        """
        if (file := self._file) is not None:
            if (rows := file.features()) is not None:
                self._check_dim(rows.shape[1], network())
                return rows
            if file.count is None and file.statistics() is not None:
                raise InputError(
                    f"reference {self.source}: expected real images here, not their statistics; give a folder"
                )
        return self._kept(
            "features", features, _read_features, _write_features,
            lambda: np.concatenate([rows for rows, _, _ in _featured(network(), self._batches(), progress)]),
        )  # fmt: skip

    def _check_dim(self, dim: int, network: FeatureNetwork) -> None:
        if dim != (wanted := self._dim(network)):
            name = type(network).__name__
            raise InputError(f"reference {self.source} has {dim} features: {name} has {wanted}")

    def _dim(self, network: FeatureNetwork) -> int:
        """How many features a network has; a function says it once it was called."""
        try:
            return network.dim
        except InputError:
            return network(np.zeros((1, *self.shape), dtype=np.float32)).shape[1]

    def _kept(
        self,
        kind: str,
        features: str,
        read: Callable[[Path], Any],
        write: Callable[[Any, Path], None],
        compute: Callable[[], Any],
    ) -> Any:
        folder = cache_folder()
        if folder is None:
            return compute()
        key = content_digest({"images": self.digest(), "shape": list(self.shape), "features": features})
        path = folder / "references" / f"{key}-{kind}.npz"
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError:
            return compute()
        with one_at_a_time(path):
            try:
                return read(path)
            except (InputError, OSError, ValueError, KeyError, zipfile.BadZipFile):
                value = compute()  # not there, or damaged
            with suppress(InputError, OSError):  # a full disk costs the time, not the score
                write(value, path)
            return value

    def _batches(self) -> Iterator[tuple[Any, int]]:
        """Images ``(b, C, H, W)``, and how many there are in all."""
        if self.source == DIGITS:
            yield from _parts(load_digits_images())
        elif (file := self._file) is not None:
            total = file.count or 0
            for images in file.images(BATCH, (self.shape[-2], self.shape[-1]), self.shape[0]):
                yield images, total
        else:
            yield from _folder(self.source, (self.shape[-2], self.shape[-1]), self.shape[0])


def reference_digest(source: str) -> str:
    """The name of the digits; else a digest of the bytes of a file, or of all images of a folder.

    Raises:
        InputError: one that cannot be read.
    """
    if source == DIGITS:
        return DIGITS
    path = Path(source)
    total = hashlib.blake2b(digest_size=DIGEST_SIZE)
    files = [path] if not path.is_dir() else parquet_paths(path) if _of_parquet(path) else image_paths(path)
    for file in files:
        total.update(bytes.fromhex(file_digest(file, "reference")))
    return total.hexdigest()


def _of_parquet(folder: Path) -> bool:
    """Whether a folder holds Parquet files and no image of its own."""
    inside = {path.suffix.lower() for path in folder.iterdir()} if folder.is_dir() else set()
    return PARQUET in inside and not inside & SUFFIXES


def image_statistics(network: FeatureNetwork, images: Any, progress: Progress | None = None) -> Statistics:
    """The statistics of ``(n, C, H, W)`` images in ``[-1, 1]``, tensor or array.

    Raises:
        InputError: fewer than two images, or images the network does not take.
    """
    if getattr(images, "ndim", 0) != 4:
        shape = tuple(getattr(images, "shape", ()))
        raise InputError(f"images of shape {shape}: expected a tensor or array (n, C, H, W) in [-1, 1]")
    return _moments(network, _parts(images), progress)


def digits_statistics(network: FeatureNetwork) -> Statistics:
    """The statistics of all 1,797 digits of scikit-learn."""
    return image_statistics(network, load_digits_images())


def folder_statistics(
    network: FeatureNetwork,
    folder: str | Path,
    size: int,
    channels: int,
    progress: Progress | None = None,
) -> Statistics:
    """The statistics of every image below a folder, each resized to ``size x size`` first.

    Give the size of the images that will be compared with these, so that both sides are
    enlarged in the same way by the network. Images are read in batches.

    Raises:
        InputError: no such folder, fewer than two images, or one that cannot be read.
    """
    return _moments(network, _folder(folder, size, channels), progress)


def _moments(network: FeatureNetwork, batches: Iterator[tuple[Any, int]], progress: Progress | None) -> Statistics:
    moments = Moments()
    for rows, _, _ in _featured(network, batches, progress):
        moments.update(rows)
    return moments.statistics()


def _featured(
    network: FeatureNetwork, batches: Iterator[tuple[Any, int]], progress: Progress | None
) -> Iterator[tuple[Array, int, int]]:
    """``(features, images done, images)`` of each batch."""
    done = 0
    for images, total in batches:
        rows = network(images)
        done += len(images)
        yield rows, done, total
        if progress is not None:
            progress(done, total)


def _parts(images: Any) -> Iterator[tuple[Any, int]]:
    for start in range(0, len(images), BATCH):
        yield images[start : start + BATCH], len(images)


def _folder(folder: str | Path, size: Size, channels: int) -> Iterator[tuple[Any, int]]:
    paths = image_paths(Path(folder))
    for start in range(0, len(paths), BATCH):
        yield read_images(paths[start : start + BATCH], size, channels), len(paths)


def _read_features(path: Path) -> Array:
    with np.load(path, allow_pickle=False) as file:
        features: Array = file["features"]
    return features


def _write_features(features: Array, path: Path) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, features=features)
