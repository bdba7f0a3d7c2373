"""What metrics share that compare images one by one: features of all images, by their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.fid.frechet import real_array
from omsdpm.scoring.metrics.base import Metric

if TYPE_CHECKING:
    import torch

    from omsdpm.scoring.metrics.context import Context

Array = NDArray[np.float64]

ROWS = 1000
"""Rows of a matrix of all pairs of images that are in memory at once."""


class KeptFeatures(Metric):
    """Keeps the features of all images: those that are sampled, and the real ones.

    Args:
        features: the network, ``name[param=value,...]`` or ``module:function``.
        least: images that each side needs.
        context: has the real images.

    Raises:
        InputError: the network or the real images cannot be used, or are fewer.
    """

    NAME: ClassVar[str]
    """For errors."""

    FEATURES: ClassVar[str] = "inception"
    """The network that is taken where none is named."""

    takes_reference = True

    def __init__(self, features: str, least: int, *, context: Context) -> None:
        self.network: Any = context.features(features)
        self.real = context.real_features(features)
        self.least = least
        if len(self.real) < least:
            raise InputError(f"metric {self.NAME!r}: {len(self.real)} real images, expected at least {least}")
        self.parts: list[tuple[int, Array]] = []

    @classmethod
    def feature_network(cls, **parameters: Any) -> str:
        return str(parameters.get("features", cls.FEATURES))

    def update(self, images: torch.Tensor, first: int) -> None:
        rows = real_array(self.network(images), "feature matrix")
        if rows.shape != (len(images), self.real.shape[1]):
            raise InputError(
                f"metric {self.NAME!r}: features of shape {rows.shape} for {len(images)} images: "
                f"expected ({len(images)}, {self.real.shape[1]}), one row an image"
            )
        self.parts.append((first, rows))

    def merge(self, other: KeptFeatures) -> None:
        self.parts += other.parts

    def sampled(self) -> Array:
        """Features ``(n, d)`` of the images in their order, whoever took them in first.

        Raises:
            InputError: too few images.
        """
        parts = [rows for _, rows in sorted(self.parts, key=lambda part: part[0])]
        features = np.concatenate(parts) if parts else np.empty((0, self.real.shape[1]))
        if len(features) < self.least:
            raise InputError(f"metric {self.NAME!r}: {len(features)} images, expected at least {self.least}")
        return features


def squared_distances(x: Array, y: Array) -> Array:
    """``(n, d)`` and ``(m, d)`` to ``(n, m)``, at least 0."""
    lengths = np.einsum("nd,nd->n", x, x)[:, None] + np.einsum("md,md->m", y, y)
    distances: Array = np.maximum(lengths - 2 * (x @ y.T), 0.0)
    return distances


def whole(metric: str, name: str, value: Any, least: int) -> int:
    """A parameter that is a whole number.

    Raises:
        InputError: it is none, or less than ``least``.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"metric {metric!r}: {name} = {value!r}, expected a whole number of at least {least}")
    return value


def positive(metric: str, name: str, value: Any) -> float:
    """A parameter that is a positive number.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < float("inf"):
        raise InputError(f"metric {metric!r}: {name} = {value!r}, expected a positive number")
    return float(value)
