"""What sampling winners and baselines on other seeds brought."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from studies.jobs.confirm.settings import ConfirmSettings
from studies.paired import mean_and_margin
from studies.records.result import Record, Result


class Duel(Record):
    """A winner and the best baseline under one budget (ms), with a score each a seed from the same noise."""

    budget: float
    baseline: str
    winner_scores: tuple[float, ...]
    baseline_scores: tuple[float, ...]

    @property
    def gain(self) -> float:
        """How much lower than the baseline's the winner's mean score is, in percent."""
        baseline = float(np.mean(self.baseline_scores))  # below 0 where a higher value is better
        return float(np.copysign(100, baseline)) * (1 - float(np.mean(self.winner_scores)) / baseline)

    @property
    def won(self) -> int:
        """Seeds on which the winner scored lower."""
        return int(np.sum(np.array(self.winner_scores) < np.array(self.baseline_scores)))

    @property
    def lead(self) -> tuple[float, float]:
        """Mean of the paired differences, baseline less winner, and half their 95 % interval."""
        return mean_and_margin(np.array(self.baseline_scores) - np.array(self.winner_scores))

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, or ``inconclusive`` where the interval holds 0 or there is none."""
        lead, margin = self.lead
        if len(self.winner_scores) < 2 or abs(lead) <= margin:
            return "inconclusive"
        return "better" if lead > 0 else "worse"


class ConfirmResult(Result):
    """Winners against baselines.

    Attributes:
        benchmark, metric: of the run.
        images: a seed.
        seeds: of the noise.
        duels: one a budget; those under which no baseline fits are left out.
    """

    KIND: ClassVar[str] = "confirm"
    FORMAT: ClassVar[int] = 1

    settings: ConfirmSettings
    benchmark: str
    metric: str
    images: int
    seeds: tuple[int, ...]
    duels: tuple[Duel, ...]
