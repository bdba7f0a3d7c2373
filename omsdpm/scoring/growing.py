"""Scores from more and more images, for those schedules that are worth them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError

if TYPE_CHECKING:
    from omsdpm.scoring.metrics import Metric, OpenMetric
    from omsdpm.scoring.sampler import Sampler

Progress = Callable[[int], object]


class GrowingScores:
    """Schedules whose images come in turn, all from the same noise; what was sampled counts on.

    At each time the schedules that go on have the same number of images from the same noise, and
    share the evaluations of what they begin with. A schedule that is left behind cannot go on.

    Args:
        sampler: from schedules to images.
        metric: what the images are scored with.
        X: ``(n, L)`` schedules.
        images: from the noise of each seed.
        seeds: of the noise, one after the other; images of all seeds are scored together.

    Raises:
        InputError: as :meth:`omsdpm.scoring.sampler.Sampler.check`.

    Example:
        >>> growing = GrowingScores(sampler, metric, X, images=500, seeds=(1, 2))
        >>> first = growing.grow(range(len(X)), 125)  # (n,) scores of 125 images
        >>> second = growing.grow(first.argsort()[:4], 500)  # the best four go on
    """

    def __init__(
        self,
        sampler: Sampler,
        metric: OpenMetric,
        X: ArrayLike,
        *,
        images: int,
        seeds: Sequence[int],
    ) -> None:
        self.X = sampler.check(np.asarray(X), images)
        self.limit = images * len(seeds)
        self._sampler, self._metric = sampler, metric
        self._of_seed, self._seeds = images, iter(seeds)
        self._seed, self._left = 0, 0
        self._images = np.zeros(len(self.X), dtype=np.int64)
        self._taken: dict[int, Metric] = {}
        self._sampled = 0

    def grow(self, rows: Sequence[int] | NDArray[np.int64], images: int, progress: Progress | None = None) -> NDArray:
        """Scores of some rows ``(m,)`` of so many images, lower is better: ``(m,)``.

        Args:
            rows: those that go on; others are left behind.
            images: that each is to have, those that it has counted in.
            progress: told how many images were sampled since the last time, of all rows together.

        Raises:
            InputError: a row that was left behind, or more images than there are.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if (behind := self._images[rows] < self._sampled).any():
            raise InputError(f"schedule {rows[behind][0]} was left behind: it cannot go on")
        if images > self.limit:
            raise InputError(f"{images} images: there is noise for {self.limit}")
        while self._sampled < images:
            self._go(rows, images - self._sampled, progress)
        self._taken = {row: self._taken[row] for row in rows.tolist()}
        return np.array([self._metric.score(self._taken[row]) for row in rows.tolist()])

    def _go(self, rows: NDArray[np.int64], lacking: int, progress: Progress | None) -> None:
        """Samples at most so many images more, of one seed and in one batch."""
        if not self._left:
            self._seed, self._left = next(self._seeds), self._of_seed
            self._following = self._sampler.stream(self._of_seed, self._seed)
        size = min(lacking, self._left, self._sampler.batch_size)
        start = self._following(size)
        self._left -= size
        with self._sampler.scored_from(self._metric, start, self._seed):
            for number, x_0 in self._sampler.sample(self.X[rows], start, self._seed):
                row = int(rows[number])
                if row not in self._taken:
                    self._taken[row] = self._metric.fresh()
                self._taken[row].update(x_0, self._sampled)
                self._images[row] += size
                if progress is not None:
                    progress(size)
        self._sampled += size
