"""How well predictors rank schedules measured again from other noise."""

from __future__ import annotations

from typing import ClassVar

from studies.jobs.fresh.settings import FreshSettings
from studies.records.result import Record, Result


class FreshRow(Record):
    """Kendall's tau, mean of the seeds, on all schedules and on the good ones.

    Attributes:
        name: the predictor, or the first measurement.
        labels, labels_good: against the dataset's own noise; ``None`` for the first measurement.
        fresh, fresh_good: against other noise.
        constant: a fit predicted the same for all, which counts as 0.
    """

    name: str
    labels: float | None
    labels_good: float | None
    fresh: float
    fresh_good: float
    constant: bool = False


class FreshResult(Result):
    """A row a predictor, and the first measurement as the last one."""

    KIND: ClassVar[str] = "fresh"
    FORMAT: ClassVar[int] = 1

    settings: FreshSettings
    benchmark: str
    schedules: int
    rows: tuple[FreshRow, ...]
