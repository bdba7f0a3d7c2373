"""Converting a released dataset into Parquet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from omsdpm.dataset import ScheduleDataset
from omsdpm.files import check_writable
from omsdpm.released import sift_dataset
from omsdpm.zoo.opening import read_latency_table
from studies.jobs.dataset_import.settings import ImportSettings
from studies.records.progress import SILENT, Reporter


@dataclass(frozen=True, eq=False)
class ImportResult:
    """The dataset as it was written, its members' latencies (ms) if given, and the rows left out with reasons."""

    output: Path
    dataset: ScheduleDataset
    latency: list[float] | None
    refused: list[str]


def import_dataset(settings: ImportSettings, reporter: Reporter = SILENT) -> ImportResult:
    """Writes a released dataset as Parquet, without the rows that are no measured schedules.

    Raises:
        InputError: files that cannot be read, or not one usable row.
    """
    check_writable(settings.output)
    table = None if settings.latency is None else read_latency_table(settings.latency, settings.members)
    with reporter.part(f"Reading {settings.path}"):
        data, refused = sift_dataset(
            settings.path, solver=settings.solver, num_models=settings.members if table is None else len(table)
        )
    if table is not None:
        data = replace(data, extra={**data.extra, "latency_ms": table})
    data.write(settings.output)
    return ImportResult(settings.output, data, table, [str(row) for row in refused])
