"""Reference statistics: what real images look like to a feature network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from omsdpm.errors import InputError
from omsdpm.fid.statistics import Moments, Statistics
from omsdpm.images import load_digits_images, load_image_folder
from omsdpm.scoring.features.base import FeatureNetwork

BATCH = 256

Progress = Callable[[int, int], None]
"""Called as ``(images done, images)`` after each batch."""


def image_statistics(network: FeatureNetwork, images: Any, progress: Progress | None = None) -> Statistics:
    """The statistics of ``(n, C, H, W)`` images in ``[-1, 1]``, tensor or array.

    Raises:
        InputError: fewer than two images, or images the network does not take.
    """
    if getattr(images, "ndim", 0) != 4:
        shape = tuple(getattr(images, "shape", ()))
        raise InputError(f"images of shape {shape}: expected a tensor or array (n, C, H, W) in [-1, 1]")
    moments = Moments()
    for start in range(0, len(images), BATCH):
        moments.update(network(images[start : start + BATCH]))
        if progress is not None:
            progress(moments.n, len(images))
    return moments.statistics()


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
    enlarged in the same way by the network.

    Raises:
        InputError: no such folder, fewer than two images, or one that cannot be read.
    """
    return image_statistics(network, load_image_folder(folder, size, channels), progress)
