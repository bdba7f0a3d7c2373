"""Released schedule datasets: a ``.pth`` list of pairs, or a folder with a ``.pth`` a pair."""

from __future__ import annotations

import math
import reprlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.dataset import ScheduleDataset
from omsdpm.errors import InputError
from omsdpm.released._values import SCHEDULE_KEYS, SCORE_KEYS, load_values, number, pick, schedule_fault
from omsdpm.solvers import DDIMSpace, DPMSolverSpace, Schedules, ScheduleSpace, make_space
from omsdpm.solvers.dpm_solver import GROUP

FORMS = '{"model_schedule", "score"}, {"ms", "metric"} or [schedule, score]'


@dataclass(frozen=True)
class RefusedRow:
    """A row that is no measured schedule of the space.

    Attributes:
        index: its place in the list, or among the folder's files in their order.
        source: the file it is in.
        reason: what is wrong, to follow "row 7 ".
    """

    index: int
    source: str
    reason: str

    def __str__(self) -> str:
        return f"row {self.index} ({self.source}) {self.reason}"


@dataclass(frozen=True)
class _Row:
    source: str
    slots: list[int]
    score: float
    fault: str | None = None


def read_dataset(
    path: str | Path,
    space: ScheduleSpace | None = None,
    *,
    solver: str | None = None,
    num_models: int | None = None,
) -> ScheduleDataset:
    """A released dataset, every row of it.

    Entries are ``{"model_schedule", "score"}``, ``{"ms", "metric"}`` or ``[schedule, score]``, with
    lists, tensors or NumPy values. A folder is read in the order of the numbers in its
    files' names.

    Args:
        path: a ``.pth`` file or a folder of them.
        space: the schedules' space. The files do not say it; without it, the length is
            the rows', and the rest is as follows.
        solver: ``"ddim"`` or ``"dpm-solver"``; without it, see :func:`infer_solver`.
        num_models: members of the zoo; without it, the largest member that occurs, which
            is too few where nobody called the last one.

    Raises:
        InputError: a file that cannot be read or wants to run something, or a row that is
            no measured schedule of the space; :func:`sift_dataset` goes on without those.

    Example:
        >>> dataset = read_dataset("dataset_ddim.pth")
        >>> dataset.X.shape, dataset.y.shape, dataset.space
        ((64, 100), (64,), DDIMSpace(num_models=6, length=100))
    """
    dataset, refused = sift_dataset(path, space, solver=solver, num_models=num_models)
    if refused:
        others = f" (and {len(refused) - 1} more rows)" if len(refused) > 1 else ""
        raise InputError(f"{path}: {refused[0]}{others}")
    return dataset


def sift_dataset(
    path: str | Path,
    space: ScheduleSpace | None = None,
    *,
    solver: str | None = None,
    num_models: int | None = None,
) -> tuple[ScheduleDataset, list[RefusedRow]]:
    """As :func:`read_dataset`, but rows that are no measured schedules are set aside with their reasons.

    Where the rows' lengths differ and no space is given, the commonest length is right.

    Raises:
        InputError: a file that cannot be read, or not one usable row.
    """
    path = Path(path)
    rows = _read_rows(path)
    if not rows:
        raise InputError(f"{path} holds no schedules: expected entries {FORMS}")
    if space is None:
        space = _infer_space(rows, path, solver, num_models)
    elif solver is not None or num_models is not None:
        raise InputError("space and solver or num_models: give either the space or what it is made of")
    kept: list[_Row] = []
    refused: list[RefusedRow] = []
    for index, row in enumerate(rows):
        reason = row.fault or _misfit(row.slots, space)
        if reason is None:
            kept.append(row)
        else:
            refused.append(RefusedRow(index, row.source, reason))
    if not kept:
        raise InputError(f"{path}: none of {len(rows)} rows is a measured schedule of {space}; first, {refused[0]}")
    dataset = ScheduleDataset(
        space=space,
        X=np.array([row.slots for row in kept], dtype=np.int64),
        y=np.array([row.score for row in kept]),
        metric="fid",
        extra={"released": path.name},
    )
    return dataset, refused


def infer_solver(X: Schedules) -> str:
    """``"dpm-solver"`` if the schedules ``(n, L)`` look like it, else ``"ddim"``.

    A DPM-Solver group has its models in front of its nulls. A group of DDIM slots with one
    or two models has them so by chance, one time in three. Nine tenths of seven or more such
    groups in that order are taken as DPM-Solver: at odds of less than one in 2,000 by chance,
    and a damaged row does not turn a DPM-Solver dataset into a DDIM one.
    """
    if X.shape[1] % GROUP:
        return DDIMSpace.solver
    active: NDArray[np.bool_] = X.reshape(-1, GROUP) > 0  # (n K, 3)
    mixed = active[active.any(axis=1) & ~active.all(axis=1)]
    packed = (mixed[:, :-1] >= mixed[:, 1:]).all(axis=1)
    return DPMSolverSpace.solver if len(mixed) >= 7 and packed.mean() >= 0.9 else DDIMSpace.solver


def _infer_space(rows: Sequence[_Row], path: Path, solver: str | None, num_models: int | None) -> ScheduleSpace:
    usable = [row.slots for row in rows if row.fault is None]
    if not usable:
        raise InputError(f"{path}: none of {len(rows)} rows is a schedule with a score; row 0 {rows[0].fault}")
    length = Counter(map(len, usable)).most_common(1)[0][0]
    X = np.array([slots for slots in usable if len(slots) == length], dtype=np.int64)
    return make_space(solver or infer_solver(X), num_models or max(1, int(X.max())), length)


def _misfit(slots: list[int], space: ScheduleSpace) -> str | None:
    if len(slots) != space.length:
        return f"has {len(slots)} slots: expected {space.length}, as {space} has"
    try:
        space.check(slots)
    except InputError as error:
        return str(error).removeprefix("schedule 0 ")
    return None


def _read_rows(path: Path) -> list[_Row]:
    if not path.is_dir():
        entries = _entries(load_values(path))
        if entries is None:
            raise InputError(f"{path} is no schedule dataset: expected a list of entries {FORMS}")
        return [_row(entry, path.name) for entry in entries]
    candidates = (file for file in path.rglob("*.pth") if file.is_file() and not file.name.startswith("."))
    files = sorted(candidates, key=lambda file: (file.relative_to(path).parent.parts, _file_order(file)))
    if not files:
        raise InputError(f"folder {path} has no .pth files: expected one a pair of schedule and score")
    rows = []
    for file in files:
        content = load_values(file)
        entries = _entries(content)
        rows += [_row(entry, file.name) for entry in ([content] if entries is None else entries)]
    return rows


def _entries(content: Any) -> list[Any] | None:
    """The entries of a file's content: several, or one that stands alone."""
    if isinstance(content, dict) and pick(content, SCHEDULE_KEYS) is not None:
        return [content]
    if not isinstance(content, list):
        return None
    alone = len(content) == 2 and isinstance(content[0], list) and number(content[1]) is not None
    return [content] if alone else content


def _row(entry: Any, source: str) -> _Row:
    if isinstance(entry, dict):
        slots, value = pick(entry, SCHEDULE_KEYS), pick(entry, SCORE_KEYS)
    elif isinstance(entry, list) and len(entry) == 2:
        slots, value = entry
    else:
        return _Row(source, [], math.nan, f"is no pair of schedule and score: expected {FORMS}")
    score = number(value)
    fault = schedule_fault(slots)
    if fault is None and (score is None or not math.isfinite(score)):
        fault = f"has score {reprlib.repr(value)}: expected a finite number"
    if fault is not None or score is None:
        return _Row(source, [], math.nan, fault)
    return _Row(source, [int(member) for member in slots], score)


def _file_order(file: Path) -> tuple[bool, int, str]:
    """Numbered files by their number, others behind them by name."""
    stem = file.stem
    return (False, int(stem), stem) if stem.isdecimal() else (True, 0, stem)
