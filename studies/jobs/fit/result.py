"""What fitting a predictor brought; the file remembers which schedules it has seen."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from studies.jobs.fit.settings import FitSettings
from studies.ranking import Correlations
from studies.records.result import Result

FILE = "trained.json"
"""Beside a saved predictor."""


class FitResult(Result):
    """A fitted predictor in a folder.

    Attributes:
        predictor: as ``name[param=value,...]``.
        size: schedules of the dataset.
        train_size: of these fitted on.
        others: rank correlations on those that it has not seen; ``None`` if there are less than two.
        schedules: digests of all that it has seen, sorted.
    """

    KIND: ClassVar[str] = "fit"
    FORMAT: ClassVar[int] = 1

    settings: FitSettings
    predictor: str
    size: int
    train_size: int
    others: Correlations | None
    schedules: tuple[str, ...]

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """The result in a predictor's folder, or in its file.

        Raises:
            InputError: as :meth:`Result.read`.
        """
        path = Path(path)
        return super().read(path / FILE if path.is_dir() else path)
