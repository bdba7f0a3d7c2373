"""How far a score would be from itself with other images: the delete-one-block jackknife.

    se^2 = (B - 1) / B  sum_b (theta_b - mean of theta)^2

with ``theta_b`` the score without the images of block ``b`` (Quenouille, 1956; Efron and Stein, 1981; over
blocks: Shao and Wu, 1989). Blocks are of consecutive images. The real images stay as they are, so it is the
error of one who samples again and compares with the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BLOCKS = 10
"""Blocks of images: the error itself is then known to a quarter."""


def jackknife(without: Sequence[float]) -> float | None:
    """The standard error of a score from its values without one block each; ``None`` for fewer than two.

    Example:
        >>> round(jackknife([2.5, 2.0, 1.5]), 3)  # of the mean of 1, 2, 3, as std(ddof=1) / sqrt(3)
        0.577
    """
    if len(without) < 2:
        return None
    values = np.asarray(without, dtype=np.float64)
    return float(np.sqrt((len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum()))


def block_edges(images: int, blocks: int = BLOCKS) -> list[int]:
    """Where blocks of nearly equal size begin and end, ``0`` to ``images``; each block has two images at least.

    Example:
        >>> block_edges(10, 4)
        [0, 2, 5, 7, 10]
    """
    count = max(1, min(blocks, images // 2))
    return [images * block // count for block in range(count + 1)]
