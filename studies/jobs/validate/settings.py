"""What validating a population is asked to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from omsdpm.errors import InputError
from omsdpm.seeds import LARGEST
from studies.jobs.naming import text_of
from studies.jobs.sampling import SAMPLING, SCORE, SamplingSettings
from studies.jobs.schedules import Source
from studies.jobs.settings import option
from studies.jobs.solvers import solver_names

SEED = 1001
"""Of the first round's noise: fresh, as datasets are measured with small seeds."""

POPULATION, ROUNDS = "Population and zoo", "Rounds"
"""Topics of the options."""


class ValidateSettings(SamplingSettings):
    """Sample the best predicted schedules of a search, and the best of those again with more images.

    The metric is fid, or fd-digits for a zoo of gray 8x8 images without --stats.

    The first round samples all from common noise, every shared beginning once. The
    best gets fresh noise, so that its score owes nothing to having been chosen by it.
    """

    words = ("validate",)

    population: Source = option(
        metavar="SCHEDULES", topic=POPULATION,
        help="The release's .pth, best first; a run folder or result.json, winners.csv, a leaderboard, or typed.",
    )  # fmt: skip
    budget: float | None = option(
        None, gt=0, metavar="MS", topic=POPULATION, shown="the winners of all", help="Whose population of a run."
    )
    zoo: Path | None = option(None, topic=POPULATION, help="Folder of a zoo, ours or released.")
    benchmark: Any = option(
        None, metavar="NAME", topic=POPULATION,
        help="Instead of --zoo: a benchmark's zoo, solver, metric and reference; --metric may add to it.",
    )  # fmt: skip
    solver: str | None = option(
        None, choices=solver_names, topic=POPULATION, shown="the run's, or told by the schedules' slots",
        help="What steps from one time to the next.",
    )  # fmt: skip
    latency: Path | None = option(None, topic=POPULATION, shown="the zoo's", help="Latency table.")
    top: int = option(10, ge=1, topic=ROUNDS, help="Schedules of the first round.")
    num_images: int = option(5_000, ge=2, topic=ROUNDS, help="Images in the first round.")
    final_images: int = option(50_000, ge=0, topic=ROUNDS, help="Of the best; 0 for none.")
    seed: int = option(SEED, ge=0, le=LARGEST, topic=SAMPLING, help="The best gets the next one.")
    output: Path | None = option(None, file=True, topic=SCORE, help="File for all scores: .csv, or JSON.")

    @model_validator(mode="after")
    def _one_zoo(self) -> Self:
        if (self.zoo is None) == (self.benchmark is None):
            raise InputError("give --zoo FOLDER or --benchmark NAME, one of them")
        if self.benchmark is not None and self.latency is not None:
            name = text_of(self.benchmark)
            raise InputError(f"--latency: benchmark {name} has its own frozen table; leave --latency out")
        return self
