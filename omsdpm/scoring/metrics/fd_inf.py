"""``fd-inf``: the Fréchet distance that infinitely many images would have, by extrapolation.

The distance of ``n`` images is too large by about ``c / n``, where ``c`` depends on what is sampled (Chong and
Forsyth, arXiv:1911.07023): it is lower for some schedules than for others, and so it hides differences. A line
in ``1 / n`` through the distances of several ``n`` has the limit as its intercept.

The authors draw random subsets. Here all images count at every size: the distance of ``n / k`` images is the mean
over ``k`` disjoint parts, for k = 1, 2, 5 and 10, which varies least and is the same every time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.fid import Moments
from omsdpm.scoring.metrics.fd import ToReference
from omsdpm.scoring.metrics.jackknife import jackknife

if TYPE_CHECKING:
    import torch

    from omsdpm.scoring.metrics.context import Context

BLOCKS = 10

PARTS = (1, 2, 5, 10)
"""In how many parts all images are taken; each divides :data:`BLOCKS`."""

RUN = 100
"""Images in a row that are dealt to blocks, equally many to each."""

SEED = 1911
"""Of the dealing."""


class Level(NamedTuple):
    """All images in parts of one size.

    Attributes:
        inverse: the parts by the images, which is the mean of ``1 / n`` over images.
        distance: mean of the parts' distances over images. What is linear in the images is then the same at
            every level, and what differs is the bias.
    """

    inverse: float
    distance: float


class FrechetLimitMetric(ToReference):
    """The Fréchet distance to the real images, without the bias of few images (Chong and Forsyth, arXiv:1911.07023).

    It may be a little below 0, where images are as the real ones.

    Args:
        features: the network, ``name[param=value,...]`` or ``module:function``.
        context: has the real images.

    Raises:
        InputError: the network or the real images cannot be used.
    """

    def __init__(self, features: str, *, context: Context) -> None:
        super().__init__(features, context=context)
        self.blocks = [Moments() for _ in range(BLOCKS)]

    def update(self, images: torch.Tensor, first: int) -> None:
        rows, of = self.network(images), block_of(np.arange(first, first + len(images)))
        for number, block in enumerate(self.blocks):
            block.update(rows[of == number])

    def merge(self, other: FrechetLimitMetric) -> None:
        for block, more in zip(self.blocks, other.blocks, strict=True):
            block.merge(more)

    def value(self) -> float:
        return _limit([self._level(parts) for parts in self._parts()])

    def error(self) -> float | None:
        """The delete-one-block jackknife: every part goes without the images of one block."""
        parts = self._parts()
        return jackknife([_limit([self._level(k, without) for k in parts]) for without in range(BLOCKS)])

    def _parts(self) -> list[int]:
        """In how many parts there are enough images: more than two for a feature.

        Raises:
            InputError: too few for two sizes.
        """
        images, needed = sum(block.n for block in self.blocks), 2 * self.reference.dim
        parts = [k for k in PARTS if images >= k * needed]
        if len(parts) < 2:
            raise InputError(
                f"metric 'fd-inf': {images} images, expected at least {2 * needed} to extrapolate: "
                f"two for each of {self.reference.dim} features, in half of them"
            )
        return parts

    def _level(self, parts: int, without: int | None = None) -> Level:
        """The images in so many parts; ``without`` is a block that is left out."""
        size, kept = BLOCKS // parts, []
        for at in range(0, BLOCKS, size):
            moments = Moments()
            for number in range(at, at + size):
                if number != without:
                    moments.merge(self.blocks[number])
            if moments.n:
                kept.append((moments.n, self.reference.distance(moments.statistics())))
        total = sum(n for n, _ in kept)
        return Level(len(kept) / total, sum(n * distance for n, distance in kept) / total)


def block_of(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The block of each image by its number, ``(n,)``: dealt at random, as labels may come in turn."""
    return np.array(list(_dealt(numbers)), dtype=np.int64)


def _dealt(numbers: NDArray[np.int64]) -> Iterator[int]:
    run, order = -1, np.empty(0, dtype=np.int64)
    for number in numbers.tolist():
        if number // RUN != run:
            run = number // RUN
            order = np.random.default_rng((SEED, run)).permutation(RUN) % BLOCKS
        yield int(order[number % RUN])


def _limit(levels: list[Level]) -> float:
    """Where the line through distances over ``1 / n``, by least squares, meets infinitely many images."""
    inverse, distance = zip(*levels, strict=True)
    _, intercept = np.polyfit(inverse, distance, deg=1)
    return float(intercept)
