"""How good a search was, from (score, latency) points; lower is better in both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError
from omsdpm.pareto import nondominated

if TYPE_CHECKING:
    from benchmarks.tabular import TabularBenchmark

QUANTILE = 0.95
"""Of all scores: beyond it nothing counts."""


def hypervolume(scores: ArrayLike, latency: ArrayLike, *, reference: tuple[float, float]) -> float:
    """Area that the points dominate below a reference point; higher is better.

    Exact, as a sum of rectangles along the front (Zitzler and Thiele, 1999).

    Args:
        scores: ``(n,)``.
        latency: ``(n,)``, ms.
        reference: (score, latency) beyond which points count for nothing.

    Example:
        >>> hypervolume([1.0, 2.0], [2.0, 1.0], reference=(3.0, 3.0))
        3.0
    """
    s, t = _points(scores, latency)
    inside = (s < reference[0]) & (t < reference[1])
    s, t = s[inside], t[inside]
    front = nondominated(s, t)
    widths = np.diff(t[front], append=reference[1])
    return float(widths @ (reference[0] - s[front]))


def best_so_far(
    scores: ArrayLike, latency: ArrayLike | None = None, budget: float | None = None
) -> NDArray[np.float64]:
    """``(e,) -> (e,)``: lowest score within ``budget`` (ms) among the first 1, 2, ... evaluations.

    ``inf`` until the first schedule that fits.

    Raises:
        InputError: a budget without latencies.
    """
    s = np.asarray(scores, dtype=float)
    if budget is not None:
        if latency is None:
            raise InputError(f"budget {budget:g} ms without latencies: give one latency a score")
        s, t = _points(s, latency)
        s = np.where(t <= budget, s, np.inf)
    return np.minimum.accumulate(s)


def regret(scores: ArrayLike, optimum: float) -> NDArray[np.float64]:
    """``score - optimum``, elementwise: what was lost against the best known schedule.

    Negative where the "optimum" was beaten, which says that it was none.
    """
    return np.asarray(scores, dtype=float) - optimum


def _points(scores: ArrayLike, latency: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    s, t = np.asarray(scores, dtype=float), np.asarray(latency, dtype=float)
    if s.ndim != 1 or s.shape != t.shape:
        raise InputError(f"scores of shape {s.shape} with latencies of shape {t.shape}: expected (n,) and (n,)")
    return s, t


def volume(benchmark: TabularBenchmark, scores: NDArray[np.float64], latency: NDArray[np.float64]) -> float:
    """The hypervolume of points, as a part of the whole space's."""
    y, ms = benchmark.dataset.y, benchmark.space.latency(benchmark.dataset.X, benchmark.latency)
    reference = (float(np.quantile(y, QUANTILE)), float(ms.max()))
    return hypervolume(scores, latency, reference=reference) / hypervolume(y, ms, reference=reference)
