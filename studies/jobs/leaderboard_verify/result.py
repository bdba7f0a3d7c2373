"""What sampling rows of a leaderboard again brought."""

from __future__ import annotations

from typing import ClassVar

from studies.jobs.leaderboard_verify.settings import VerifySettings
from studies.records.result import Record, Result


class CheckedRow(Record):
    """A row that was drawn.

    Attributes:
        place: file and number of the row.
        score: as it stands there.
        again: sampled anew, ``None`` where that could not be.
        why: what is wrong; empty where the row holds.
    """

    place: str
    benchmark: str
    budget: float
    optimizer: str
    predictor: str
    validation_seed: int
    images: int
    score: float
    again: float | None
    why: str

    @property
    def holds(self) -> bool:
        """Nothing is wrong."""
        return not self.why


class VerifyResult(Result):
    """Which rows hold.

    Attributes:
        checked: the rows that were drawn, in the file's order.
        rows: in the file.
        left_out: why rows could not be drawn, and how many.
    """

    KIND: ClassVar[str] = "leaderboard verify"

    settings: VerifySettings
    checked: tuple[CheckedRow, ...]
    rows: int
    left_out: dict[str, int]

    @property
    def holds(self) -> bool:
        """All rows that were drawn do."""
        return all(row.holds for row in self.checked)
