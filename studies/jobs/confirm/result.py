"""What sampling winners and baselines on other seeds brought."""

from __future__ import annotations

from typing import ClassVar

from studies.jobs.confirm.settings import ConfirmSettings
from studies.paired import Paired
from studies.records.result import Record, Result


class Duel(Record):
    """A winner and the best baseline under one budget (ms), with a score each a seed from the same noise."""

    budget: float
    baseline: str
    winner_scores: tuple[float, ...]
    baseline_scores: tuple[float, ...]

    @property
    def paired(self) -> Paired:
        """The comparison, seed by seed."""
        return Paired(self.winner_scores, self.baseline_scores)


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
