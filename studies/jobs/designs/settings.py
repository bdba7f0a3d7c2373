"""What weighing the designs of a dataset is asked to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studies.jobs.settings import Settings, option


class DesignsSettings(Settings):
    """Say what the labels of each design are worth: a predictor fitted on equally costly parts.

    Every design of the benchmark's training rows gets the same number of network
    evaluations, shared beginnings counted once, as the dataset's card has them. A predictor
    fitted on each part ranks the random 'test' split and the 'elite' split.
    """

    words = ("dataset", "designs")

    benchmark: Any = option("digits-ddim", metavar="NAME", help="Whose schedules; see 'list'.")
    predictor: Any = option("gp", metavar="NAME", help="What is fitted; see 'list'.")
    evaluations: int = option(3000, ge=1, help="Network evaluations a design.")
    seeds: int = option(3, ge=1, help="How many draws and fits, from seed 0.")
    output: Path | None = option(None, file=True, help="JSON file for the result.")
