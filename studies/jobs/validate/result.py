"""What sampling a population brought."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from studies.jobs.validate.settings import ValidateSettings
from studies.records.result import Result
from studies.records.scores import SCORE_COLUMNS, Scored
from studies.records.tables import compact, write_csv


class ScoredSchedule(Scored):
    """A schedule of the population, and the scores of its images.

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
        metric: by which schedules are ranked, with its parameters.
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

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics, that by which schedules are ranked first."""
        return tuple(score.metric for score in self.best.scores(self.metric))

    def write(self, path: str | Path) -> None:
        """Writes the result as JSON, or its scores as CSV to a ``.csv``, one schedule and metric a line.

        Raises:
            InputError: the folder cannot be written.
        """
        if Path(path).suffix != ".csv":
            super().write(path)
            return
        rounds = [(1, scored) for scored in self.order] + ([(2, self.best)] if self.sampled_again else [])
        rows = [
            (number, scored.row, score.metric, score.score, score.error, *_facts(scored))
            for number, scored in rounds
            for score in scored.scores(self.metric)
        ]
        header = ("round", "row", *SCORE_COLUMNS, "images", "seed", "nfe", "latency_ms", "schedule")
        write_csv(Path(path), header, rows)


def _facts(scored: ScoredSchedule) -> tuple[object, ...]:
    return scored.images, scored.seed, scored.nfe, scored.latency_ms, compact(scored.schedule)
