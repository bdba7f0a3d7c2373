"""What building a benchmark's folder is asked to do."""

from __future__ import annotations

from pathlib import Path

from omsdpm.devices import DEVICES
from studies.jobs.settings import Settings, option


class BuildSettings(Settings):
    """Measure the schedules that FOLDER/benchmark.toml asks for, into FOLDER/schedules.parquet.

    A killed build goes on where it was, and several builds of one folder share the work.
    Rounds that the dataset holds already are left alone, so a round added later is
    appended. Where the file names budgets, the baselines under them are validated too, and
    strategies choose under each by labels of their own; 'dataset estimate' says what that costs.
    """

    words = ("dataset", "build")

    folder: Path = option(argument=True, help="The benchmark's folder.")
    executor: str = option("joblib", choices=lambda: ("joblib", "dask"), help="Where shards run.")
    jobs: int | None = option(None, ge=1, shown="one a core; one on a GPU", help="Local processes.")
    threads: int = option(1, ge=1, help="Threads a process.")
    scheduler: str | None = option(
        None,
        metavar="ADDRESS",
        help="Of the Dask scheduler, as tcp://host:8786. It and its workers must be trusted.",
    )
    shard_size: int = option(50, ge=1, help="Schedules a shard.")
    metric: str | None = option(
        None, shown="the file's", help="Parameters of the file's metric, as 'fid[weights=PATH]'."
    )
    device: str = option("auto", choices=lambda: DEVICES, help="Where networks run; auto takes CUDA if there is one.")
