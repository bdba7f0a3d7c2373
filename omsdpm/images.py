"""Real images as arrays ``(n, channels, height, width)``, float32 in ``[-1, 1]``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError

Images = NDArray[np.float32]
Labels = NDArray[np.int64]

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".tif", ".tiff"}


def load_digits_images() -> Images:
    """scikit-learn's 1,797 handwritten digits, ``(1797, 1, 8, 8)``."""
    from sklearn.datasets import load_digits

    return (load_digits().images[:, None] / 8.0 - 1.0).astype(np.float32)


def load_digits_labels() -> Labels:
    """Which digit each of :func:`load_digits_images` is, ``(1797,)`` from 0 to 9."""
    from sklearn.datasets import load_digits

    return load_digits().target.astype(np.int64)


def load_image_folder(folder: str | Path, size: int, channels: int) -> Images:
    """Every image below ``folder``, in the order of their paths, resized to ``size x size``.

    Raises:
        InputError: no such folder, no image in it, or a file that cannot be read.
    """
    if channels not in (1, 3):
        raise InputError(f"channels={channels}: images have 1 or 3")
    return read_images(image_paths(Path(folder)), size, channels)


def read_images(paths: Sequence[Path], size: int, channels: int) -> Images:
    """The images of some files, resized to ``size x size``.

    Raises:
        InputError: a number of channels that images do not have, or a file that cannot be read.
    """
    from PIL import Image, UnidentifiedImageError

    if channels not in (1, 3):
        raise InputError(f"channels={channels}: images have 1 or 3")
    images = np.empty((len(paths), channels, size, size), dtype=np.float32)
    for i, path in enumerate(paths):
        try:
            with Image.open(path) as image:
                converted = image.convert("L" if channels == 1 else "RGB")
                if converted.size != (size, size):
                    converted = converted.resize((size, size), Image.Resampling.LANCZOS)
        except (OSError, UnidentifiedImageError) as error:
            raise InputError(f"cannot read image {path}: {error}") from error
        pixels = np.asarray(converted, dtype=np.float32).reshape(size, size, channels)
        images[i] = pixels.transpose(2, 0, 1) / 127.5 - 1.0
    return images


def load_folder_labels(folder: str | Path) -> Labels:
    """The class of each image of :func:`load_image_folder`, ``(n,)``: the number of its folder in ``folder``.

    Folders that hold images are numbered from 0 in the order of their names; what lies deeper in one is of its class.

    Raises:
        InputError: as :func:`load_image_folder`, or an image that lies in no class folder.
    """
    root = Path(folder)
    names = []
    for path in image_paths(root):
        inside = path.relative_to(root)
        if len(inside.parts) < 2:
            raise InputError(f"image {path} has no class: expected one folder for each class in {root}")
        names.append(inside.parts[0])
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def image_paths(root: Path) -> list[Path]:
    """Every image below a folder, in the order of their paths.

    Raises:
        InputError: no such folder, or no image in it.
    """
    if not root.is_dir():
        raise InputError(f"image folder {root} does not exist: give a folder of images")
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(f"no image in {root}: expected files ending in {', '.join(sorted(SUFFIXES))}")
    return paths


def to_uint8(images: NDArray[np.floating]) -> NDArray[np.uint8]:
    """``(n, C, H, W)`` in ``[-1, 1]`` to ``(n, H, W, C)`` bytes, clipped and rounded."""
    pixels = np.clip((np.asarray(images, dtype=np.float64) + 1.0) * 127.5, 0, 255)
    return pixels.round().astype(np.uint8).transpose(0, 2, 3, 1)
