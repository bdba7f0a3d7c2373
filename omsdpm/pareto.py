"""Nondomination with two objectives, both minimized."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def nondominated(scores: ArrayLike, latency: ArrayLike) -> NDArray[np.int64]:
    """Indices of the points that no other point beats, in order of latency.

    With two objectives one sort suffices: in order of latency, a point is on the front
    when its score is below all before it. Of equal points the first is kept.

    Args:
        scores: ``(n,)``, lower is better.
        latency: ``(n,)``, lower is better.

    Returns:
        ``(k,)`` indices; latencies rise and scores fall along them, both strictly.
    """
    score = np.asarray(scores, dtype=float)
    order = np.lexsort((score, np.asarray(latency, dtype=float)))
    lowest_before = np.minimum.accumulate(np.concatenate([[np.inf], score[order]]))[:-1]
    return order[score[order] < lowest_before]
