"""Manifolds of features: a ball around each image that reaches to its k-th nearest neighbor.

Kynkäänniemi et al., arXiv:1904.06991, section 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from omsdpm.scoring.metrics.kept import ROWS, Array, squared_distances


def squared_radii(x: Array, k: int) -> Array:
    """Squared distance of each row of ``(n, d)`` to the k-th nearest of the others, ``(n,)``; ``n > k``."""
    radii = np.empty(len(x))
    for at in range(0, len(x), ROWS):
        distances = squared_distances(x[at : at + ROWS], x)  # itself is the nearest
        radii[at : at + ROWS] = np.partition(distances, k, axis=1)[:, k]
    return radii


def covered(x: Array, centers: Array, radii: Array) -> NDArray[np.bool_]:
    """Whether each row of ``(n, d)`` lies in a ball around one of the centers ``(m, d)``: ``(n,)``.

    Args:
        x: features.
        centers: features of other images.
        radii: ``(m,)`` squared.
    """
    inside = np.empty(len(x), dtype=bool)
    for at in range(0, len(x), ROWS):
        inside[at : at + ROWS] = (squared_distances(x[at : at + ROWS], centers) <= radii).any(axis=1)
    return inside
