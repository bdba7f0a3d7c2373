"""What sampling one schedule is asked to do."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import model_validator

from omsdpm.errors import InputError
from omsdpm.plugins import Named
from omsdpm.seeds import LARGEST
from studies.jobs.sampling import SAMPLING, SCORE, SamplingSettings, check_references
from studies.jobs.schedules import Source
from studies.jobs.settings import option
from studies.jobs.solvers import solver_names

SCHEDULE = "Schedule and zoo"
"""Topic of the options."""


class SampleSettings(SamplingSettings):
    """Sample images with one schedule, and score them.

    Features are taken from each batch of images as it is sampled; images are written
    only where --images says so.
    """

    words = ("sample",)

    zoo: Path = option(topic=SCHEDULE, help="Folder of a zoo, ours or released.")
    schedule: Source = option(
        metavar="SCHEDULE", topic=SCHEDULE,
        help="A run folder or result.json, winners.csv, a leaderboard, the release's .pth, or typed: '3 0 3 2 0'.",
    )  # fmt: skip
    budget: float | None = option(None, gt=0, metavar="MS", topic=SCHEDULE, help="Whose winner of several.")
    row: int | None = option(None, ge=0, topic=SCHEDULE, help="Which schedule of a FILE with several, from 0.")
    solver: str | None = option(
        None, choices=solver_names, topic=SCHEDULE, shown="the run's, or told by the schedule's slots",
        help="What steps from one time to the next.",
    )  # fmt: skip
    timesteps: str | None = option(
        None, metavar="GRID", topic=SCHEDULE, shown="the run's, or the usual grid",
        help="Where slots lie, as 'trailing' or 'leading[offset=1]'; see docs/slots.md.",
    )  # fmt: skip
    num_images: int = option(50_000, ge=1, flags=("-n", "--num-images"), topic=SAMPLING, help="Images to sample.")
    eta: float | None = option(
        None, ge=0, le=1, topic=SAMPLING, shown="the run's, or 0", help="DDIM: 0 deterministic, 1 ancestral."
    )
    seed: int = option(0, ge=0, le=LARGEST, topic=SAMPLING, help="Of all noise that is drawn.")
    images: Path | None = option(None, topic=SAMPLING, help="Folder for the images as PNG.")
    fid: bool = option(False, topic=SCORE, help="Score the images; short for --metric fid.")
    output: Path | None = option(None, file=True, topic=SCORE, help="File for the scores: .csv, or JSON.")

    @property
    def scored_with(self) -> tuple[str, ...]:
        """The metrics that are asked for; none for no score."""
        return ("fid",) if self.fid and self.metric is None else self.metrics

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        metrics = self.scored_with
        if self.fid and "fid" not in {Named.parse(metric).name for metric in metrics}:
            raise InputError(f"--fid and --metric {self.metric}: give one of them")
        if not metrics and self.stats is not None:
            raise InputError("--stats without a score: give --fid or --metric too")
        check_references(metrics, self.stats)
        if metrics and self.num_images < 2:
            raise InputError(f"{self.num_images} images: a score needs at least 2")
        if not metrics and self.images is None:
            raise InputError(
                "nothing to do with the images: give --fid or --metric to score them, --images to write them"
            )
        if self.output is not None and not metrics:
            raise InputError(f"--output {self.output} is for the score: give --fid or --metric too")
        return self
