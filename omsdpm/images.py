"""Real images as arrays ``(n, channels, height, width)``, float32 in ``[-1, 1]``."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError, one_line

Images = NDArray[np.float32]
Labels = NDArray[np.int64]
Size = int | tuple[int, int]
"""Height and width of images, or the side of squares."""

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".tif", ".tiff"}


def load_digits_images() -> Images:
    """scikit-learn's 1,797 handwritten digits, ``(1797, 1, 8, 8)``."""
    from sklearn.datasets import load_digits

    return (load_digits().images[:, None] / 8.0 - 1.0).astype(np.float32)


def load_digits_labels() -> Labels:
    """Which digit each of :func:`load_digits_images` is, ``(1797,)`` from 0 to 9."""
    from sklearn.datasets import load_digits

    return load_digits().target.astype(np.int64)


def load_image_folder(folder: str | Path, size: Size, channels: int) -> Images:
    """Every image below ``folder``, in the order of their paths, resized to ``size``: height and width, or a side.

    Raises:
        InputError: no such folder, no image in it, or a file that cannot be read.
    """
    if channels not in (1, 3):
        raise InputError(f"channels={channels}: images have 1 or 3")
    return read_images(image_paths(Path(folder)), size, channels)


def read_images(paths: Sequence[Path], size: Size, channels: int) -> Images:
    """The images of some files, resized to ``size``: height and width, or the side of squares.

    Raises:
        InputError: a number of channels that images do not have, or a file that cannot be read.
    """
    if channels not in (1, 3):
        raise InputError(f"channels={channels}: images have 1 or 3")
    images = np.empty((len(paths), channels, *_sides(size)), dtype=np.float32)
    for i, path in enumerate(paths):
        images[i] = read_image(path, size, channels)
    return images


def read_image(path: Path, size: Size, channels: int) -> Images:
    """One image ``(channels, height, width)``, resized; of 8 or 16 bits, or of floats from 0 to 1.

    Raises:
        InputError: it cannot be read, or has values that no image of its kind has.
    """
    return decode_image(path, f"image {path}", size, channels)


def decode_image(file: Path | BinaryIO, what: str, size: Size, channels: int) -> Images:
    """As :func:`read_image`, from an open file too; ``what`` is the image, for errors."""
    from PIL import Image

    mode = "L" if channels == 1 else "RGB"
    height, width = _sides(size)
    try:
        with Image.open(file) as image:
            # Pillow clips these to 8 bits instead of scaling them.
            deep = image.mode == "F" or image.mode.startswith("I")
            converted = _scaled(image) if deep else image.convert(mode)
            if converted.size != (width, height):
                converted = _resized(converted, height, width)
    except InputError as error:
        raise InputError(f"cannot read {what}: {error}") from error
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise InputError(f"cannot read {what}: {one_line(error)}") from error
    pixels = np.clip(np.asarray(converted, dtype=np.float32), 0, 255).reshape(height, width, -1)
    return np.broadcast_to(pixels, (height, width, channels)).transpose(2, 0, 1) / 127.5 - 1.0


def _scaled(image: Any) -> Any:
    """A gray image of 16 bits or floats as one of floats from 0 to 255."""
    from PIL import Image

    values = np.asarray(image).astype(np.float64)
    most = 1.0 if image.mode == "F" else 65535.0
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= most):
        kind = "floats from 0 to 1" if image.mode == "F" else "whole numbers from 0 to 65535"
        raise InputError(f"values from {values.min():g} to {values.max():g}, expected {kind}")
    scaled = values * 255 if image.mode == "F" else values / 257
    if np.abs(scaled - scaled.round()).max() < 1e-4:  # made of 8 bits: the same picture, resized too
        return Image.fromarray(scaled.round().astype(np.uint8))
    return Image.fromarray(scaled.astype(np.float32))


def _sides(size: Size) -> tuple[int, int]:
    """Height and width."""
    return (size, size) if isinstance(size, int) else size


def _resized(image: Any, height: int, width: int) -> Any:
    from PIL import Image

    if image.mode != "F":
        return image.resize((width, height), Image.Resampling.LANCZOS)
    # As Pillow does it with 8 bits, which holds the values in their range between the two ways.
    across = np.clip(np.asarray(image.resize((width, image.height), Image.Resampling.LANCZOS)), 0, 255)
    return Image.fromarray(across).resize((width, height), Image.Resampling.LANCZOS)


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

    Links to folders are followed; hidden files and folders do not count.

    Raises:
        InputError: no such folder, no image in it, one that is no file, or a link that leads back.
    """
    if not root.is_dir():
        raise InputError(f"image folder {root} does not exist: give a folder of images")
    try:
        paths = sorted(_images_in(root, (os.path.realpath(root),)))
    except OSError as error:
        raise InputError(f"cannot read image folder {root}: {error.filename}: {error.strerror}") from error
    if not paths:
        raise InputError(f"no image in {root}: expected files ending in {', '.join(sorted(SUFFIXES))}")
    return paths


def _images_in(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    """Images below a folder; ``above`` are the real paths of the folders that it is in, and its own."""
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name == "__MACOSX":
            continue  # copies that notebooks and file managers keep, as .ipynb_checkpoints and ._x.png
        if path.is_dir() and path.suffix.lower() not in SUFFIXES:
            real = os.path.realpath(path)
            if real in above:
                raise InputError(f"image folder {path} is a link to a folder that it is in: remove it")
            yield from _images_in(path, (*above, real))
        elif path.suffix.lower() in SUFFIXES:
            if not path.is_file():
                raise InputError(f"cannot read image {path}: it is no file, or a link to none; remove it")
            yield path


def from_uint8(pixels: NDArray[np.uint8], size: Size, channels: int) -> Images:
    """Bytes ``(n, H, W)`` or ``(n, H, W, C)``, C 1 or 3, to ``(n, channels, *size)`` in ``[-1, 1]``, resized."""
    from PIL import Image

    mode = "L" if channels == 1 else "RGB"
    if pixels.ndim == 4 and pixels.shape[3] == 1:
        pixels = pixels[:, :, :, 0]
    height, width = _sides(size)
    images = np.empty((len(pixels), channels, height, width), dtype=np.float32)
    for at, one in enumerate(pixels):
        image = Image.fromarray(one).convert(mode)
        resized = image if image.size == (width, height) else _resized(image, height, width)
        images[at] = np.asarray(resized, dtype=np.float32).reshape(height, width, -1).transpose(2, 0, 1) / 127.5 - 1.0
    return images


def to_uint8(images: NDArray[np.floating]) -> NDArray[np.uint8]:
    """``(n, C, H, W)`` in ``[-1, 1]`` to ``(n, H, W, C)`` bytes, clipped and rounded.

    The frames of videos ``(n, C, F, H, W)`` are side by side.
    """
    values = np.asarray(images, dtype=np.float64)
    if values.ndim == 5:
        n, channels, frames, height, width = values.shape
        values = values.transpose(0, 1, 3, 2, 4).reshape(n, channels, height, frames * width)
    pixels = np.clip((values + 1.0) * 127.5, 0, 255)
    return pixels.round().astype(np.uint8).transpose(0, 2, 3, 1)
