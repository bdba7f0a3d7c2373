"""What making a report brought."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from studies.jobs.report.settings import ReportSettings
from studies.records.result import Result


class ReportResult(Result):
    """A page.

    Attributes:
        folders: of the runs that it shows, in its order.
        studies: folders of the studies that it shows.
        images: pictures that it holds.
        size: bytes.
    """

    KIND: ClassVar[str] = "report"

    settings: ReportSettings
    folders: tuple[Path, ...]
    studies: tuple[Path, ...] = ()
    images: int
    size: int
