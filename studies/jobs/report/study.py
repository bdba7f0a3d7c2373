"""What a page shows of a study: which methods may be alike, as the study ranked them, and how soon they are good."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omsdpm.errors import InputError, one_line
from omsdpm.tables import read_json
from studies.jobs.study.diagram import diagram_file
from studies.jobs.study.tables import ECDF
from studies.records.tables import uncell

FILE, RANKS = "study.json", "ranks.csv"
"""What a study's folder has."""

Row = TypeVar("Row", bound=BaseModel)

LARGEST = 2**20
"""Bytes of a study's settings, and of a diagram ten times as many."""


class Rank(BaseModel):
    """A row of ``ranks.csv``: a method in a group that is ranked together.

    Attributes:
        group: ``"measured"``, or the predictor that searches of unmeasured scores share.
        optimizer, predictor: the method.
        mean_rank: over ``blocks``, 1 is best.
        critical_difference: mean ranks farther apart differ.
        as_good_as_best: within it of the best.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    group: str
    optimizer: str
    predictor: str
    mean_rank: Annotated[float, Field(ge=1)]
    blocks: Annotated[int, Field(ge=1)]
    critical_difference: Annotated[float, Field(gt=0)]
    as_good_as_best: bool


class Reached(BaseModel):
    """A row of ``ecdf.csv``: the part of a method's runs and regret targets that is reached after some evaluations."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    benchmark: str
    optimizer: str
    predictor: str
    evaluations: Annotated[int, Field(ge=1)]
    reached: Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, eq=False)
class ShownStudy:
    """A study's ranks and any-time curves.

    Attributes:
        folder: of the study.
        command: that repeats it.
        ranks: by group, best first.
        diagrams: by group, as PNG; those that the folder has.
        curves: by benchmark, then by optimizer and predictor, in the order of evaluations; none where regret is not
            known.
    """

    folder: Path
    command: str
    ranks: dict[str, list[Rank]]
    diagrams: dict[str, bytes]
    curves: dict[str, dict[tuple[str, str], list[Reached]]]


def read_study(folder: Path) -> ShownStudy:
    """What ``omsdpm-bench study`` wrote to a folder.

    Raises:
        InputError: one that is damaged.
    """
    hint = "run the study again"
    told = read_json(folder / FILE, hint, LARGEST)
    if not isinstance(told, dict):
        raise InputError(f"{folder / FILE} describes no study: {hint}")
    ranks: dict[str, list[Rank]] = {}
    for rank in _rows(folder / RANKS, Rank, "ranks", hint):
        ranks.setdefault(rank.group, []).append(rank)
    curves: dict[str, dict[tuple[str, str], list[Reached]]] = {}
    if (folder / ECDF).exists():  # studies of before have none
        for one in _rows(folder / ECDF, Reached, "any-time curves", hint):
            curves.setdefault(one.benchmark, {}).setdefault((one.optimizer, one.predictor), []).append(one)
    files = {group: folder / diagram_file(group) for group in ranks}
    diagrams = {
        group: file.read_bytes()
        for group, file in files.items()
        if file.is_file() and file.stat().st_size < 10 * LARGEST
    }
    return ShownStudy(folder, str(told.get("command", "")), ranks, diagrams, curves)


def _rows(path: Path, kind: type[Row], what: str, hint: str) -> list[Row]:
    """The rows of a table.

    Raises:
        InputError: one that is damaged, or too large to be a study's.
    """
    try:
        if path.stat().st_size > 20 * LARGEST:
            raise InputError(f"{path} is larger than any of a study: {hint}")
        with path.open(newline="", encoding="utf-8") as file:
            return [
                kind.model_validate({name: uncell(text or "") for name, text in row.items() if name})
                for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError, csv.Error, ValidationError) as error:
        raise InputError(f"{path} holds no {what} of a study: {hint} ({one_line(error)})") from error
