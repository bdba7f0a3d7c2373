"""What the labels of each design are worth."""

from __future__ import annotations

from typing import ClassVar

from studies.jobs.designs.settings import DesignsSettings
from studies.records.result import Record, Result


class DesignRow(Record):
    """Kendall's tau of a predictor that saw ``schedules`` rows of one design, a value a seed."""

    design: str
    schedules: int
    test: tuple[float, ...]
    elite: tuple[float, ...]


class DesignsResult(Result):
    """A row a design, and one for the mixture of all."""

    KIND: ClassVar[str] = "designs"
    FORMAT: ClassVar[int] = 1

    settings: DesignsSettings
    benchmark: str
    predictor: str
    rows: tuple[DesignRow, ...]
