"""Scores of one schedule by several metrics: in results, and as cells of a CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from studies.records.result import Record

if TYPE_CHECKING:
    from omsdpm.scoring.metrics import Score

SCORE_COLUMNS = ("metric", "score", "error")


class MetricScore(Record):
    """A metric's value of the images of one schedule.

    Attributes:
        metric: with its parameters, after a ``-`` where the value is negated.
        score: lower is better.
        error: its standard error over draws of the images; ``None`` where it is not known.
    """

    metric: str
    score: float
    error: float | None

    @classmethod
    def of(cls, score: Score) -> MetricScore:
        """As :class:`omsdpm.scoring.metrics.OpenMetrics` gives it."""
        return cls(metric=score.metric, score=score.value, error=score.error)


class Scored(Record):
    """What has a score, and perhaps more of the same images by other metrics.

    Attributes:
        score: by the first metric, lower is better.
        error: its standard error over draws of the images; ``None`` where it is not known.
        further: by the other metrics.
    """

    score: float | None
    error: float | None = None
    further: tuple[MetricScore, ...] = ()

    def scores(self, metric: str) -> Iterator[MetricScore]:
        """All of them; ``metric`` is the first."""
        if self.score is not None:
            yield MetricScore(metric=metric, score=self.score, error=self.error)
        yield from self.further


def with_error(score: float, error: float | None, digits: str = ".6g") -> str:
    """``"3.21 ± 0.05"``; without an error that nobody knows."""
    return f"{score:{digits}}" if error is None else f"{score:{digits}} ± {error:.2g}"
