"""The squared maximum mean discrepancy of a kernel, its standard error, and the metrics' shared part.

    mmd^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y)

(Gretton et al., JMLR 13, 2012). ``unbiased`` leaves the pairs of an image with itself out of the first two
means (their eq. 3), else they count (eq. 5).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from omsdpm.scoring.metrics.jackknife import block_edges, jackknife
from omsdpm.scoring.metrics.kept import ROWS, Array, KeptFeatures

if TYPE_CHECKING:
    from omsdpm.scoring.metrics.context import Context


class KernelMetric(KeptFeatures):
    """The squared maximum mean discrepancy to the real images of a kernel on features.

    The standard error costs nothing more: sums of the kernel over blocks of images give the value
    without each of them.

    Args:
        features: the network, ``name[param=value,...]`` or ``module:function``.
        least: images that each side needs.
        key: tells this kernel from others on the same features.
        context: has the real images.

    Raises:
        InputError: the network or the real images cannot be used, or are fewer.
    """

    UNBIASED: ClassVar[bool]

    def __init__(self, features: str, least: int, key: Hashable, *, context: Context) -> None:
        super().__init__(features, least, context=context)
        self.within_real = context.once((self.NAME, features, key), self._within_real)
        self._kept: tuple[int, Sums] | None = None

    @abstractmethod
    def kernel(self, x: Array, y: Array) -> Array:
        """``(n, d)`` and ``(m, d)`` to ``(n, m)``."""

    @abstractmethod
    def diagonal(self, x: Array) -> Array:
        """The kernel of each row of ``(n, d)`` with itself, ``(n,)``."""

    def value(self) -> float:
        sums = self.sums()
        return sums.mmd(np.ones(len(sums.sizes), dtype=bool), self.within_real, self.UNBIASED)

    def error(self) -> float | None:
        sums = self.sums()
        blocks = np.eye(len(sums.sizes), dtype=bool)
        return jackknife([sums.mmd(~block, self.within_real, self.UNBIASED) for block in blocks if not block.all()])

    def sums(self) -> Sums:
        """Of the kernel, over blocks of the images that came in.

        Raises:
            InputError: too few images.
        """
        if self._kept is None or self._kept[0] != len(self.parts):
            self._kept = (len(self.parts), self._sums(self.sampled()))
        return self._kept[1]

    def _sums(self, x: Array) -> Sums:
        edges = np.asarray(block_edges(len(x)))
        count = len(edges) - 1
        within, across = np.zeros((count, count)), np.zeros(count)
        for block in range(count):
            for at in range(edges[block], edges[block + 1], ROWS):
                rows = x[at : min(at + ROWS, edges[block + 1])]
                within[block] += np.add.reduceat(self.kernel(rows, x).sum(axis=0), edges[:-1])
                across[block] += self.kernel(rows, self.real).sum()
        diagonal = np.add.reduceat(self.diagonal(x), edges[:-1])
        return Sums(np.diff(edges), within, diagonal, across, len(self.real))

    def _within_real(self) -> float:
        """The mean kernel of two of the real images."""
        y, n = self.real, len(self.real)
        total = sum(float(self.kernel(y[at : at + ROWS], y).sum()) for at in range(0, n, ROWS))
        return (total - float(self.diagonal(y).sum())) / (n * (n - 1)) if self.UNBIASED else total / n**2


@dataclass(frozen=True)
class Sums:
    """Sums of a kernel over blocks of images.

    Attributes:
        sizes: ``(B,)`` images of each block.
        within: ``(B, B)`` over pairs of an image of one block and one of the other.
        diagonal: ``(B,)`` over images with themselves.
        across: ``(B,)`` over pairs of an image of a block and a real one.
        real: real images.
    """

    sizes: Array
    within: Array
    diagonal: Array
    across: Array
    real: int

    def mmd(self, blocks: Array, within_real: float, unbiased: bool) -> float:
        """The squared discrepancy of some blocks, ``(B,)`` true or false, from the real images."""
        n = int(self.sizes[blocks].sum())
        total = self.within[np.ix_(blocks, blocks)].sum()
        within = (total - self.diagonal[blocks].sum()) / (n * (n - 1)) if unbiased else total / n**2
        return float(within + within_real - 2 * self.across[blocks].sum() / (n * self.real))
