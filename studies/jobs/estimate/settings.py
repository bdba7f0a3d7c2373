"""What estimating the cost of a dataset is asked to do."""

from __future__ import annotations

from pathlib import Path

from omsdpm.seeds import LARGEST
from studies.jobs.settings import Settings, option


class EstimateSettings(Settings):
    """Say what building FOLDER/benchmark.toml costs, without sampling anything.

    Times are on one device like the one of the zoo's latency.toml; scoring is timed here. A
    round that refines what was measured is counted as if it drew at random in its window.
    """

    words = ("dataset", "estimate")

    folder: Path = option(argument=True, help="The benchmark's folder.")
    schedules: int | None = option(None, ge=1, help="Estimate for this many instead of the file's rounds.")
    deadline: float | None = option(None, gt=0, metavar="HOURS", help="Devices to meet it.")
    shard_size: int = option(50, ge=1, help="Schedules a shard.")
    seed: int = option(0, ge=0, le=LARGEST, help="Of the draws that are counted.")
    output: Path | None = option(None, file=True, help="JSON file for the result.")
