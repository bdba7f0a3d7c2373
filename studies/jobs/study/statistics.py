"""What beats what: ranks with a critical difference, intervals, expected cost of a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError

ALPHA = 0.05
"""Level of the tests; intervals have the rest."""

RESAMPLES = 2000
"""Of a bootstrap."""


@dataclass(frozen=True)
class Ranks:
    """Mean ranks of ``k`` methods over ``n`` blocks, and what of them is chance.

    Attributes:
        mean: ``(k,)``, 1 is best.
        blocks: n.
        p_value: of Friedman's test that all methods are alike; ``None`` for fewer than three methods,
            or where all are equal in all blocks.
        critical_difference: mean ranks farther apart differ, by Nemenyi's test.
    """

    mean: NDArray[np.float64]
    blocks: int
    p_value: float | None
    critical_difference: float


def mean_ranks(values: ArrayLike, alpha: float = ALPHA) -> Ranks:
    """Friedman's test and Nemenyi's critical difference (Demsar, 2006, equation 6 and table 5).

    Args:
        values: ``(n, k)``, a row a block, lower is better; ``inf`` for a failure. Equal ones share their rank.
        alpha: level.

    Raises:
        InputError: fewer than two methods, or no block.
    """
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    table = np.asarray(values, dtype=float)
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] < 2:
        raise InputError(f"values of shape {table.shape}: expected blocks in rows, at least two methods in columns")
    n, k = table.shape
    ranks = rankdata(table, axis=1)
    p_value = None
    if k > 2 and n > 1 and not (ranks == ranks[:, :1]).all():
        p_value = float(friedmanchisquare(*ranks.T).pvalue)
    # The statistic of infinitely many degrees of freedom, over sqrt(2).
    quantile = float(studentized_range.ppf(1 - alpha, k, np.inf)) / np.sqrt(2)
    return Ranks(ranks.mean(axis=0), n, p_value, float(quantile * np.sqrt(k * (k + 1) / (6 * n))))


def mean_interval(values: ArrayLike, seed: int = 0) -> tuple[float, float, float]:
    """Mean of ``(n,)`` values, and the ends of its 95 % bootstrap interval (BCa; NaN for one value)."""
    from scipy.stats import bootstrap

    data = np.asarray(values, dtype=float)
    mean = float(data.mean())
    if len(data) < 2:
        return mean, float("nan"), float("nan")
    if np.ptp(data) == 0:
        return mean, mean, mean
    interval = bootstrap(
        (data,), np.mean, confidence_level=1 - ALPHA, n_resamples=RESAMPLES, rng=np.random.default_rng(seed)
    ).confidence_interval
    return mean, float(interval.low), float(interval.high)


def expected_cost(spent: Sequence[float], reached: Sequence[bool]) -> float:
    """Cost of a target when runs are repeated until one reaches it (Hansen et al., 2021: average runtime).

    Args:
        spent: of each run, until the target or until its end.
        reached: it got there.

    Returns:
        All that was spent over the number of successes; ``inf`` without one.

    Example:
        >>> expected_cost([10, 100, 20], [True, False, True])
        65.0
    """
    hits = sum(bool(hit) for hit in reached)
    return float(sum(spent)) / hits if hits else float("inf")
