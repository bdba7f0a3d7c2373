"""What judging predictors on other noise is asked to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studies.jobs.settings import Settings, option


class FreshSettings(Settings):
    """Say how well predictors rank schedules that were measured again from other noise.

    All labels of a dataset are sampled from the same starting noise, which a predictor can
    learn too; the schedules that were measured again tell how much of what it ranks better
    is that. Only such schedules count as are in no training split; the good ones are the
    better half.
    """

    words = ("predictor", "fresh")

    benchmark: Any = option("digits-ddim", metavar="NAME", help="Whose schedules; see 'list'.")
    predictors: tuple[Any, ...] = option(
        ("lstm[updates=400]", "lstm[updates=1600]", "gp"), flags=("--predictor",), separator=",", metavar="NAME,...",
        shown="lstm[updates=400],lstm[updates=1600],gp", help="Predictors to judge.",
    )  # fmt: skip
    seeds: int = option(2, ge=1, help="How many fits of each, from seed 0.")
    output: Path | None = option(None, file=True, help="JSON file for the result.")
