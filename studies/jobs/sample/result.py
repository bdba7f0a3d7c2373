"""What sampling one schedule brought."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from studies.jobs.sample.settings import SampleSettings
from studies.records.result import Result
from studies.records.scores import SCORE_COLUMNS, MetricScore, Scored
from studies.records.tables import compact, write_csv


class SampleResult(Scored, Result):
    """Images of one schedule, scored or only written.

    Attributes:
        metric, score, error: by the first metric, with the standard error over draws of the images; ``None``
            where the images were only written; negated, as ``-psnr[member=6]``, where higher is better.
        further: by other metrics, from the same images.
        images: how many.
        schedule: ``(L,)``, with its network evaluations ``nfe``.
        latency_ms: by the zoo's table, ``None`` where it has none.
        environment: versions, platform, device.
    """

    KIND: ClassVar[str] = "sample"
    FORMAT: ClassVar[int] = 2

    settings: SampleSettings
    metric: str | None
    images: int
    schedule: tuple[int, ...]
    solver: str
    nfe: int
    latency_ms: float | None
    environment: dict[str, Any]

    @property
    def all_scores(self) -> tuple[MetricScore, ...]:
        """By every metric."""
        return () if self.metric is None else tuple(self.scores(self.metric))

    def write(self, path: str | Path) -> None:
        """Writes the result as JSON, or its scores as CSV to a ``.csv``, one metric a line.

        Raises:
            InputError: the folder cannot be written.
        """
        if Path(path).suffix != ".csv":
            super().write(path)
            return
        common = (self.images, self.nfe, self.latency_ms, compact(self.schedule))
        rows = [(score.metric, score.score, score.error, *common) for score in self.all_scores]
        write_csv(Path(path), (*SCORE_COLUMNS, "images", "nfe", "latency_ms", "schedule"), rows)
