"""The Fréchet distance of 2,048 features against pytorch-fid's arithmetic, on one thread.

    python -m benchmarks.speed.frechet [--features 2048] [--images 10000] [--repeats 3]

pytorch-fid takes the square root of the product of both covariances by a Schur decomposition
(``scipy.linalg.sqrtm``). Its own function passes an argument that SciPy 1.18 no longer has, so
its lines are repeated here. ``reference`` is one distance from statistics whose root was taken before, as every
distance but the first of a benchmark is. Features are random, with a spectrum that falls as that of
InceptionV3's; fewer images than features leave covariances without full rank.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import linalg
from threadpoolctl import threadpool_limits

from omsdpm.fid.frechet import Reference, frechet_distance

Array = NDArray[np.float64]
Moments = tuple[Array, Array]


def moments(features: int, images: int, seed: int) -> Moments:
    """Mean ``(d,)`` and covariance ``(d, d)`` of positive features whose variances fall as ``1 / k^1.5``."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(features, features)) / np.sqrt(features)
    scales = np.arange(1, features + 1) ** -0.75
    drawn = np.abs(random.normal(0.02 * seed, 1.0, size=(images, features)) * scales @ mixing)
    return drawn.mean(axis=0), np.cov(drawn, rowvar=False)


def pytorch_fid(first: Moments, second: Moments) -> float:
    """``pytorch_fid.fid_score.calculate_frechet_distance`` 0.3.0, line by line."""
    (mu1, sigma1), (mu2, sigma2) = first, second
    difference = mu1 - mu2
    root = linalg.sqrtm(sigma1.dot(sigma2))
    if not np.isfinite(root).all():
        offset = np.eye(sigma1.shape[0]) * 1e-6
        root = linalg.sqrtm((sigma1 + offset).dot(sigma2 + offset))
    if np.iscomplexobj(root):
        root = root.real
    return float(difference.dot(difference) + np.trace(sigma1) + np.trace(sigma2) - 2 * np.trace(root))


def timed(run: Callable[[], float], repeats: int) -> tuple[float, float]:
    """Seconds of the fastest of some runs, and what it gives."""
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        value = run()
        best = min(best, time.perf_counter() - start)
    return best, value


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 1_000])
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    table = Table(
        "images", "way", "seconds", "times faster", "distance", title=f"{given.features} features, one thread"
    )
    with threadpool_limits(1):
        for images in given.images:
            first, second = (moments(given.features, images, seed) for seed in (0, 1))
            reference = Reference(*first)
            ways: dict[str, Callable[[], float]] = {
                "pytorch-fid": partial(pytorch_fid, first, second),
                "frechet_distance": partial(frechet_distance, *first, *second),
                "reference": partial(reference.distance, *second),
            }
            usual = None
            for way, run in ways.items():
                seconds, distance = timed(run, 1 if way == "pytorch-fid" else given.repeats)
                usual = usual or seconds
                table.add_row(f"{images:,}", way, f"{seconds:.2f}", f"{usual / seconds:.1f}", f"{distance:.10g}")
    Console().print(table)


if __name__ == "__main__":
    main()
