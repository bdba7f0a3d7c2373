"""Mean and covariance of features: from an array, in batches, and as pytorch-fid's files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.arrays import read_npz
from omsdpm.errors import InputError
from omsdpm.fid.frechet import Reference, checked_moments, real_array
from omsdpm.files import replacing
from omsdpm.threads import one_thread

FEATURES = 8192
"""Most features that statistics in a file are of; Inception's have 2,048."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean and unbiased covariance of the features of ``n`` images.

    Args:
        mu: ``(d,)`` float64.
        sigma: ``(d, d)`` float64, as ``np.cov(features, rowvar=False)``.
        n: images they are of; None when unknown (pytorch-fid's files do not say).

    Raises:
        InputError: shapes that do not match, NaN or infinity, or a matrix that is not symmetric.

    Example:
        >>> reference = Statistics.of(network(real))
        >>> reference.distance(Statistics.of(network(sampled)))
    """

    mu: NDArray[np.float64]
    sigma: NDArray[np.float64]
    n: int | None = None

    def __post_init__(self) -> None:
        mu, sigma = checked_moments(self.mu, self.sigma)
        object.__setattr__(self, "mu", mu)
        object.__setattr__(self, "sigma", sigma)

    @property
    def dim(self) -> int:
        """How many features an image has."""
        return len(self.mu)

    @classmethod
    def of(cls, features: ArrayLike) -> Statistics:
        """The statistics of ``(n, d)`` features.

        Raises:
            InputError: fewer than two images, another shape, NaN or infinity.
        """
        return cls.of_batches([features])

    @classmethod
    def of_batches(cls, batches: Iterable[ArrayLike]) -> Statistics:
        """The statistics of features that come as arrays ``(b, d)``, none of which is kept.

        Raises:
            InputError: as :meth:`of`.
        """
        moments = Moments()
        for batch in batches:
            moments.update(batch)
        return moments.statistics()

    @cached_property
    def reference(self) -> Reference:
        """These statistics with the square root of the covariance taken once."""
        return Reference(self.mu, self.sigma)

    def distance(self, other: Statistics) -> float:
        """The Fréchet distance to ``other``.

        Call it on the side that many others are compared with: its square root is kept.

        Raises:
            InputError: ``other`` has another number of features.
        """
        return self.reference.distance(other.mu, other.sigma)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Statistics:
        """Reads an ``.npz`` with the keys ``mu`` and ``sigma``, as pytorch-fid writes them, or a ``.pth``.

        The OMS-DPM release's ``statistic.pth`` calls them ``m`` and ``s``.

        Raises:
            InputError: no such file, not an ``.npz``, a key is missing, or bad numbers.
        """
        if Path(path).suffix in (".pth", ".pt"):
            return cls._read_pth(Path(path))
        largest = {"mu": 8 * FEATURES, "sigma": 8 * FEATURES**2, "n": 8}
        arrays = read_npz(path, "statistics", largest, optional=frozenset({"n"}))
        mu, sigma, n = arrays["mu"], arrays["sigma"], None
        if "n" in arrays:
            held = arrays["n"].reshape(-1)[:2].tolist()
            if arrays["n"].shape != () or isinstance(held[0], bool) or not (2 <= held[0] < 2**63 and held[0] % 1 == 0):
                raise InputError(f"statistics {path}: n is {held}, expected a number of images, 2 or more")
            n = int(held[0])
        try:
            return cls(mu, sigma, n)
        except InputError as error:
            raise InputError(f"statistics {path}: {error}") from error

    @classmethod
    def _read_pth(cls, path: Path) -> Statistics:
        from omsdpm.released._numpy import unwrap
        from omsdpm.released._pickle import load_pth

        content = load_pth(path, numpy_values=True)
        table = content if isinstance(content, dict) else {}
        moments = []
        for keys in (("mu", "m"), ("sigma", "s")):
            values = next((unwrap(table[key]) for key in keys if key in table), None)
            if values is None:
                raise InputError(f"statistics {path} lack {' or '.join(keys)}: expected a dictionary with mu and sigma")
            moments.append(values.detach().double().numpy() if hasattr(values, "detach") else values)
        try:
            return cls(*moments)
        except (InputError, TypeError, ValueError) as error:
            raise InputError(f"statistics {path}: {error}") from error

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes an ``.npz`` that pytorch-fid reads too, with ``n`` beside ``mu`` and ``sigma``.

        Raises:
            InputError: the file cannot be written.
        """
        with replacing(path) as temporary, temporary.open("wb") as file:
            if self.n is None:
                np.savez(file, mu=self.mu, sigma=self.sigma)
            else:
                np.savez(file, mu=self.mu, sigma=self.sigma, n=np.asarray(self.n))


class Moments:
    """Mean and covariance of features that arrive in batches, in ``O(d^2)`` memory.

    Batches are merged by their centered sums (Chan, Golub and LeVeque, 1983), so a mean
    far from 0 costs no digits, as it would in a sum of squares.
    """

    def __init__(self) -> None:
        self.n = 0
        self._mean: NDArray[np.float64] = np.zeros(0)
        self._scatter: NDArray[np.float64] = np.zeros((0, 0))

    def update(self, features: ArrayLike) -> None:
        """Takes in ``(b, d)`` features; an empty batch changes nothing.

        Raises:
            InputError: another shape or number of features, NaN or infinity.
        """
        batch = real_array(features, "feature matrix")
        if batch.ndim != 2 or batch.shape[1] == 0:
            raise InputError(f"features of shape {batch.shape}: expected (n, d), one row an image")
        if self.n and batch.shape[1] != len(self._mean):
            raise InputError(f"a batch of {batch.shape[1]} features after one of {len(self._mean)}: use one network")
        if not np.isfinite(batch).all():
            raise InputError("the features hold NaN or infinity: check the images that they were computed from")
        if not len(batch):
            return
        if not self.n:
            self._mean, self._scatter = np.zeros(batch.shape[1]), np.zeros((batch.shape[1],) * 2)
        mean = batch.mean(axis=0)
        centered = batch - mean
        with one_thread(batch.shape[1]):
            scatter = centered.T @ centered
        self._add(len(batch), mean, scatter)

    def merge(self, other: Moments) -> None:
        """Takes in what another one took in.

        Raises:
            InputError: another number of features.
        """
        if not other.n:
            return
        if not self.n:
            self._mean, self._scatter = np.zeros_like(other._mean), np.zeros_like(other._scatter)
        if len(self._mean) != len(other._mean):
            raise InputError(f"moments of {len(other._mean)} features after {len(self._mean)}: use one network")
        self._add(other.n, other._mean, other._scatter)

    def _add(self, n: int, mean: NDArray[np.float64], scatter: NDArray[np.float64]) -> None:
        delta = mean - self._mean
        total = self.n + n
        self._scatter += scatter + np.outer(delta, delta) * (self.n * n / total)
        self._mean += delta * (n / total)
        self.n = total

    def statistics(self) -> Statistics:
        """What came in so far.

        Raises:
            InputError: fewer than two images, which have no covariance.
        """
        if self.n < 2:
            raise InputError(f"features of {self.n} image(s): a covariance needs at least 2")
        return Statistics(self._mean.copy(), self._scatter / (self.n - 1), self.n)
