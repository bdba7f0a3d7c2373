"""What sampling a population brought."""

from __future__ import annotations

from typing import Any, ClassVar

from studies.jobs.validate.settings import ValidateSettings
from studies.records.result import Record, Result


class ScoredSchedule(Record):
    """A schedule of the population, and the score of its images.

    Attributes:
        row: in the population.
        latency_ms: by the zoo's table, ``None`` where it has none.
        images, seed: what the score is of.
    """

    row: int
    schedule: tuple[int, ...]
    nfe: int
    latency_ms: float | None
    score: float
    images: int
    seed: int


class ValidateResult(Result):
    """Scores of a population.

    Attributes:
        metric: with its parameters.
        solver: as given, or as told by the slots.
        schedules: the first round, in the population's order.
        best: of the lowest score there; from fresh noise if it was sampled again.
        evaluations, one_by_one: network evaluations of a batch that the first round took, and
            that it would have taken without shared beginnings.
        environment: versions, platform, device.
    """

    KIND: ClassVar[str] = "validate"
    FORMAT: ClassVar[int] = 2

    settings: ValidateSettings
    metric: str
    solver: str
    schedules: tuple[ScoredSchedule, ...]
    best: ScoredSchedule
    evaluations: int
    one_by_one: int
    environment: dict[str, Any]

    @property
    def order(self) -> list[ScoredSchedule]:
        """The first round, lowest score first."""
        return sorted(self.schedules, key=lambda scored: scored.score)

    @property
    def sampled_again(self) -> bool:
        """There was a second round."""
        return self.settings.final_images > 0
