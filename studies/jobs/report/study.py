"""What a page shows of a study: which methods may be alike, as the study ranked them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omsdpm.errors import InputError, one_line
from omsdpm.tables import read_json
from studies.jobs.study.diagram import diagram_file
from studies.records.tables import uncell

FILE, RANKS = "study.json", "ranks.csv"
"""What a study's folder has."""

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


@dataclass(frozen=True, eq=False)
class ShownStudy:
    """A study's ranks.

    Attributes:
        folder: of the study.
        command: that repeats it.
        ranks: by group, best first.
        diagrams: by group, as PNG; those that the folder has.
    """

    folder: Path
    command: str
    ranks: dict[str, list[Rank]]
    diagrams: dict[str, bytes]


def read_study(folder: Path) -> ShownStudy:
    """What ``omsdpm-bench study`` wrote to a folder.

    Raises:
        InputError: one that is damaged.
    """
    hint = "run the study again"
    told = read_json(folder / FILE, hint, LARGEST)
    if not isinstance(told, dict):
        raise InputError(f"{folder / FILE} describes no study: {hint}")
    path = folder / RANKS
    ranks: dict[str, list[Rank]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                rank = Rank.model_validate({name: uncell(text or "") for name, text in row.items() if name})
                ranks.setdefault(rank.group, []).append(rank)
    except (OSError, UnicodeDecodeError, csv.Error, ValidationError) as error:
        raise InputError(f"{path} holds no ranks of a study: {hint} ({one_line(error)})") from error
    files = {group: folder / diagram_file(group) for group in ranks}
    diagrams = {
        group: file.read_bytes()
        for group, file in files.items()
        if file.is_file() and file.stat().st_size < 10 * LARGEST
    }
    return ShownStudy(folder, str(told.get("command", "")), ranks, diagrams)
