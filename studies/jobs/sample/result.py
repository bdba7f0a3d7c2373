"""What sampling one schedule brought."""

from __future__ import annotations

from typing import Any, ClassVar

from studies.jobs.sample.settings import SampleSettings
from studies.records.result import Result


class SampleResult(Result):
    """Images of one schedule, scored or only written.

    Attributes:
        metric, score: ``None`` where the images were only written; negated, as ``-psnr[member=6]``, where
            higher is better.
        images: how many.
        schedule: ``(L,)``, with its network evaluations ``nfe``.
        latency_ms: by the zoo's table, ``None`` where it has none.
        environment: versions, platform, device.
    """

    KIND: ClassVar[str] = "sample"
    FORMAT: ClassVar[int] = 2

    settings: SampleSettings
    metric: str | None
    score: float | None
    images: int
    schedule: tuple[int, ...]
    solver: str
    nfe: int
    latency_ms: float | None
    environment: dict[str, Any]
