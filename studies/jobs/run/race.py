"""Successive halving: candidates are sampled from common noise, and the better half of them goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FEWEST = 32
"""Images of the first round, at least."""


class Contest(Protocol):
    """Schedules whose scores can be had from more and more images; :class:`omsdpm.scoring.growing.GrowingScores`."""

    def grow(
        self, rows: Sequence[int], images: int, progress: Callable[[int], object] | None = None
    ) -> NDArray[np.float64]:
        """Scores of those rows that go on, of at least so many images each."""
        ...


def rounds(candidates: int, images: int) -> list[int]:
    """Images of each round of a race: doubled while the candidates are halved, up to ``images``.

    Example:
        >>> rounds(13, 1000)
        [125, 250, 500, 1000]
    """
    halvings = max(0, math.ceil(math.log2(max(candidates, 1))) - 1)
    sizes = [images // 2**k for k in range(halvings, -1, -1)]
    return [size for size in sizes[:-1] if size >= FEWEST] + [images]


def race(
    contest: Contest,
    groups: Sequence[Sequence[int]],
    images: int,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> tuple[list[list[int]], dict[int, float]]:
    """Races several groups of schedules at once (successive halving, Jamieson and Talwalkar, AISTATS 2016).

    Args:
        contest: gives scores of rows from common noise.
        groups: rows of each group; a row may be in several, and is sampled once. Empty groups stay empty.
        images: of the last round.
        progress: told ``(images done, images)``, of all rows together.

    Returns:
        Of each group the rows, best first: those that came farther before others; and every row's last score.
    """
    sizes = rounds(max((len(group) for group in groups), default=0), images)
    left = [list(dict.fromkeys(group)) for group in groups]
    behind: list[list[int]] = [[] for _ in groups]
    scores: dict[int, float] = {}
    total, before = images_of([len(group) for group in left], sizes), 0
    done = 0

    def count(new: int) -> None:
        nonlocal done
        done += new
        progress(min(done, total), total)

    for number, size in enumerate(sizes):
        rows = sorted({row for group in left for row in group})
        if not rows:
            break
        scores |= dict(zip(rows, contest.grow(rows, size, count).tolist(), strict=True))
        before = size
        for group, out in zip(left, behind, strict=True):
            group.sort(key=lambda row: scores[row])
            if number < len(sizes) - 1:
                kept = _kept(len(group))
                out[:0], group[kept:] = group[kept:], []
    assert not sizes or before == sizes[-1] or not any(left)
    return [group + out for group, out in zip(left, behind, strict=True)], scores


def _kept(candidates: int) -> int:
    """How many go on: half, but two to the end, so that the best is found from all images."""
    return min(candidates, max(2, math.ceil(candidates / 2)))


def images_of(groups: Sequence[int], sizes: Sequence[int]) -> int:
    """Images of a race at most, where no row is in two groups.

    Args:
        groups: rows of each.
        sizes: images of a row in each round, rising.
    """
    return sum(rows * images for size in groups for rows, images in turns(size, sizes))


def turns(rows: int, sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Rows of a group that are left in each round, and further images that each of them has in it.

    Example:
        >>> turns(13, [125, 250, 500, 1000])
        [(13, 125), (7, 125), (4, 250), (2, 500)]
    """
    left, before = [], 0
    for size in sizes:
        left.append((rows, size - before))
        rows, before = _kept(rows), size
    return left
