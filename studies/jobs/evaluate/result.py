"""What judging a saved predictor brought."""

from __future__ import annotations

from typing import ClassVar

from studies.jobs.evaluate.settings import EvaluateSettings
from studies.ranking import Correlations
from studies.records.result import Result


class EvaluateResult(Result):
    """Rank correlations on a dataset.

    Attributes:
        remembered: the predictor tells what it was fitted on.
        left_out: schedules that it was fitted on.
        schedules: those that it was judged on.
        kendall_tau, spearman, constant: see :class:`studies.ranking.Correlations`.
    """

    KIND: ClassVar[str] = "evaluate"
    FORMAT: ClassVar[int] = 1

    settings: EvaluateSettings
    remembered: bool
    left_out: int
    schedules: int
    kendall_tau: float
    spearman: float
    constant: bool

    @property
    def correlations(self) -> Correlations:
        """The correlations by themselves."""
        return Correlations(
            schedules=self.schedules, kendall_tau=self.kendall_tau, spearman=self.spearman, constant=self.constant
        )
