"""Predicted and measured scores of the held-out schedules, kept for a look."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from omsdpm.dataset import ScheduleDataset
from omsdpm.errors import InputError
from omsdpm.names import file_name
from studies.ranking import HELD_OUT
from studies.records.tables import uncell, write_csv

if TYPE_CHECKING:
    from predictors import Predictor

COLUMNS = ("split", "measured", "predicted", "low", "high")

LEVEL = 0.9
"""Of the intervals from ``low`` to ``high``."""


@dataclass(frozen=True)
class Predictions:
    """What a predictor said of ``n`` held-out schedules.

    Attributes:
        split: ``(n,)`` names.
        measured, predicted: ``(n,)`` scores.
        low, high: ``(n,)`` ends of the 90 % intervals, NaN where the family has no uncertainty.
    """

    split: NDArray[np.str_]
    measured: NDArray[np.float64]
    predicted: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def predictions_path(folder: str | Path, benchmark: str, predictor: str, size: int, seed: int) -> Path:
    """Where the predictions of a fit are kept in the folder of a comparison."""
    name = file_name(f"{benchmark}-{predictor}-{size}-{seed}.csv")  # a parameter may be a path
    return Path(folder) / "predictions" / name


def write_predictions(path: Path, predictor: Predictor, data: ScheduleDataset) -> None:
    """Writes the predictions for the held-out part of ``data``; no interval is an empty cell."""
    held_out = data[np.isin(data.split, HELD_OUT)]
    predicted = predictor.predict(held_out.X)
    ends: list[list[str]] = [[""] * len(held_out)] * 2
    if predictor.has_std:
        ends = [[f"{end:.8g}" for end in side] for side in predictor.predict_interval(held_out.X, LEVEL)]
    columns = (held_out.split, *([f"{y:.8g}" for y in scores] for scores in (held_out.y, predicted)), *ends)
    write_csv(path, COLUMNS, zip(*columns, strict=True))


def read_predictions(path: Path) -> Predictions:
    """Reads what :func:`write_predictions` wrote.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, restval=""))
        split = np.array([uncell(row["split"]) for row in rows], dtype=np.str_)
        numbers = [np.array([float(row[name] or "nan") for row in rows]) for name in COLUMNS[1:]]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} holds no predictions: {error}; remove it and its row of the comparison") from error
    return Predictions(split, *numbers)
