"""What a dataset will cost."""

from __future__ import annotations

from typing import ClassVar

from studies.jobs.estimate.settings import EstimateSettings
from studies.records.result import Record, Result


class RoundCost(Record):
    """The cost of one round; see :class:`omsdpm.dataset.estimate.Estimate`.

    Attributes:
        scoring: seconds that the metric takes on this machine, beside the sampling; ``None`` where it
            could not be timed, and in results of format 1.
    """

    name: str
    schedules: int
    one_by_one: int
    evaluations: int
    seconds_one_by_one: float
    seconds: float
    scoring: float | None = None


class EstimateResult(Result):
    """The cost of each round and of all.

    Attributes:
        rounds: in the file's order; then the repeat, the baselines, strategies' labels and choices, and reports.
        total: all of them together.
        loading: seconds until networks, metric and real images are loaded, which every process takes; ``None``
            where they cannot be loaded here, and in results of earlier formats.
        images: a schedule.
        device, threads: what the times are for.
        devices: how many of these meet the deadline; ``None`` without one.
    """

    KIND: ClassVar[str] = "estimate"
    FORMAT: ClassVar[int] = 3
    READ: ClassVar[tuple[int, ...]] = (1, 2, 3)

    settings: EstimateSettings
    rounds: tuple[RoundCost, ...]
    total: RoundCost
    images: int
    device: str
    threads: str
    devices: int | None
    loading: float | None = None

    @property
    def seconds(self) -> float:
        """Of all that is sampled, scored and loaded, by one process."""
        return self.total.seconds + (self.total.scoring or 0.0) + (self.loading or 0.0)
