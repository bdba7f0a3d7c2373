"""Scores of two schedules on the same seeds: what their difference says, and what it leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95


def mean_and_margin(values: NDArray[np.float64], level: float = CONFIDENCE) -> tuple[float, float]:
    """Mean of ``(s,)`` independent values, and half the width of its confidence interval by Student's t.

    One value has no margin: 0.
    """
    from scipy.stats import t

    if len(values) < 2:
        return float(values.mean()), 0.0
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(t.ppf(0.5 + level / 2, len(values) - 1) * error)


@dataclass(frozen=True)
class Paired:
    """Scores ``(s,)`` of ours and of theirs, seed by seed from the same noise; lower is better."""

    ours: Sequence[float]
    theirs: Sequence[float]

    @property
    def gain(self) -> float | None:
        """How much lower our mean score is, in percent of theirs; ``None`` where theirs is 0."""
        mean = float(np.mean(self.theirs))
        return None if mean == 0 else 100 * (mean - float(np.mean(self.ours))) / abs(mean)

    @property
    def gain_margin(self) -> float | None:
        """Half the 95 % interval of the gain, in percent of their mean score."""
        mean = float(np.mean(self.theirs))
        return None if mean == 0 or len(self.ours) < 2 else 100 * self.lead[1] / abs(mean)

    @property
    def won(self) -> int:
        """Seeds on which ours is lower."""
        return int(np.sum(np.asarray(self.ours) < np.asarray(self.theirs)))

    @property
    def lead(self) -> tuple[float, float]:
        """Mean of the paired differences, theirs less ours, and half their 95 % interval."""
        return mean_and_margin(np.asarray(self.theirs, dtype=float) - np.asarray(self.ours, dtype=float))

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, or ``inconclusive`` where the interval holds 0 or there is none."""
        lead, margin = self.lead
        if len(self.ours) < 2 or abs(lead) <= margin:
            return "inconclusive"
        return "better" if lead > 0 else "worse"
