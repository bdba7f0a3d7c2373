"""Schedules from what people have: runs, CSVs with budgets, leaderboards, the release's files, or typed.

One reader for all commands that take a schedule, which knows too what the file says of solver, slots and zoo.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BeforeValidator

from omsdpm.errors import InputError

if TYPE_CHECKING:
    from omsdpm.solvers import Schedules, SolverOptions

TYPED = re.compile(r"\s*\d+(?:(?:\s*,\s*|\s+)\d+)*\s*")
"""A schedule on the command line, image end first: ``"3 0 3 2 0"``."""

RESULT = "result.json"
RUNS = ("run", "search")
"""Kinds of results that have winners."""

EXPECTED = (
    "a run folder or its result.json, winners.csv, a leaderboard, what `export --to json` wrote, the release's .pth, "
    "JSON, CSV, text or .npy, "
    'or the schedule itself as "3 0 3 2 0"'
)

Source = Annotated[str, BeforeValidator(lambda given: str(given) if isinstance(given, Path) else given)]
"""Where schedules are, or a schedule itself; see :func:`read_source`."""


@dataclass(frozen=True, eq=False)
class ScheduleSource:
    """Schedules and what their source says of them.

    Attributes:
        source: as given, for errors.
        X: ``(n, L)``.
        budgets: ms, one a schedule; empty where the source has none.
        populations: of a run, the best schedules ``(m, L)`` under each budget.
        problem: of a run, what ``result.json`` says of it: solver and its options, timesteps, noise, zoo, guidance.
        benchmarks: of a leaderboard, the name in each row.
    """

    source: str
    X: Schedules
    budgets: tuple[float, ...] = ()
    populations: tuple[Schedules, ...] = ()
    problem: Mapping[str, Any] = field(default_factory=dict)
    benchmarks: tuple[str, ...] = ()

    def within(self, budget: float | None) -> ScheduleSource:
        """The schedules of one budget; all without one.

        Raises:
            InputError: the source has no such budget, or none at all.
        """
        if budget is None:
            return self
        if not self.budgets:
            raise InputError(f"--budget {budget:g}: {self.source} says no budgets; leave --budget out")
        rows = [row for row, own in enumerate(self.budgets) if math.isclose(own, budget, rel_tol=1e-9)]
        if not rows:
            known = ", ".join(f"{own:g}" for own in sorted(set(self.budgets)))
            raise InputError(f"--budget {budget:g}: {self.source} has schedules for {known} ms; give one of them")
        return replace(
            self,
            X=self.X[rows],
            budgets=tuple(self.budgets[row] for row in rows),
            populations=tuple(self.populations[row] for row in rows) if self.populations else (),
            benchmarks=tuple(self.benchmarks[row] for row in rows) if self.benchmarks else (),
        )

    def one(self, budget: float | None = None, row: int | None = None) -> ScheduleSource:
        """The only schedule, or the one of a budget or row (from 0, of what the budget leaves).

        Raises:
            InputError: several are left, or there is no such budget or row.
        """
        left = self.within(budget)
        if row is None and len(np.unique(left.X, axis=0)) > 1:
            by = "--budget MS or --row" if self.budgets and budget is None else "--row"
            raise InputError(
                f"{self.source} holds {len(left.X)} schedules: choose one with {by}, "
                "or compare them with `omsdpm-bench validate`"
            )
        if row is not None and row >= len(left.X):
            raise InputError(f"--row {row}: {self.source} holds {len(left.X)} schedules, numbered from 0")
        at = row or 0
        return replace(
            left,
            X=left.X[at : at + 1],
            budgets=left.budgets[at : at + 1],
            populations=left.populations[at : at + 1],
            benchmarks=left.benchmarks[at : at + 1],
        )

    @property
    def solver(self) -> str | None:
        """The solver, where the source says it."""
        return self.problem.get("solver")

    @property
    def timesteps(self) -> list[float] | None:
        """Of the slots, falling, where the source says them."""
        return self.problem.get("timesteps")

    def options(self, solver: str, spacing: str | None = None, eta: float | None = None) -> SolverOptions:
        """How the solver runs: as given, else as the source says of the same solver, else as usual.

        Raises:
            InputError: the source says something that is none.
        """
        from omsdpm.pipelines.file import OptionsTable
        from omsdpm.tables import read_table

        said = self.problem if solver == self.solver else {}
        table = {key: said[key] for key in ("spacing", "eta", "t_end") if said.get(key) is not None}
        given = {"spacing": spacing, "eta": eta}
        table |= {key: value for key, value in given.items() if value is not None}
        return read_table(OptionsTable, table, self.source).options

    @property
    def guidance(self) -> float | None:
        """Of classifier-free guidance, where the source says it.

        Raises:
            InputError: what it says is no scale.
        """
        scale = self.problem.get("guidance")
        if scale is not None and not (type(scale) in (int, float) and 0 <= scale < math.inf):
            raise InputError(f"{self.source}: guidance {scale!r}: expected a number, 0 or more")
        return scale

    def renumbered(self, members: int) -> Schedules:
        """The schedules in the numbers of a zoo of so many members, where they count only some of them."""
        numbers = [entry["number"] for entry in self.problem.get("zoo", {}).get("members", ())]
        if not numbers or numbers == list(range(1, len(numbers) + 1)) or max(numbers) > members:
            return self.X
        return np.array([0, *numbers], dtype=np.int64)[self.X]


def read_source(given: str | Path) -> ScheduleSource:
    """The schedules of a source, see :data:`EXPECTED`.

    Raises:
        InputError: nothing of the kind; says what was expected.
    """
    text, path = str(given), Path(given)
    if isinstance(given, str) and TYPED.fullmatch(given) and not path.exists():
        return ScheduleSource(text, _rows(text, [_typed(text)]))
    if not path.exists():
        raise InputError(f"no schedule at {text!r}: expected {EXPECTED}")
    if path.is_dir():
        if not (path / RESULT).exists():
            raise InputError(f"{path} has no {RESULT}: expected {EXPECTED}")
        path = path / RESULT
    if (table := _result(path)) is not None:
        return _of_result(path, table)
    if (rows := _csv(path)) is not None:
        return _of_csv(path, rows)
    if _exported(path):
        return _of_export(path)
    from omsdpm.released import read_schedules

    return ScheduleSource(text, read_schedules(path))


def _typed(text: str) -> list[int]:
    return [int(member) for member in re.findall(r"\d+", text)]


def _result(path: Path) -> dict[str, Any] | None:
    """A run's result; ``None`` for another file."""
    if path.suffix.lower() != ".json":
        return None
    from studies.jobs.run.result import FORMAT
    from studies.records.result import read_table

    if path.name != RESULT:
        try:
            with path.open(encoding="utf-8") as file:
                content = json.loads(file.read(2**28))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(content, dict) or "winners" not in content:
            return None
    return read_table(path, RUNS, (FORMAT,))


def _of_result(path: Path, table: dict[str, Any]) -> ScheduleSource:
    from studies.records.result import damaged

    try:
        winners = table["winners"]
        X = _rows(str(path), [winner["schedule"] for winner in winners])
        return ScheduleSource(
            str(path),
            X,
            tuple(float(winner["budget_ms"]) for winner in winners),
            tuple(_rows(str(path), [_typed(text) for text in texts]) for texts in table["populations"]),
            dict(table.get("benchmark") or table["problem"]),
        )
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(path, error) from error


def _exported(path: Path) -> bool:
    """Whether a file says that it is a schedule of ``export --to json``."""
    from omsdpm.pipelines.file import FORMAT

    if path.suffix.lower() != ".json":
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return FORMAT in file.read(2**12)


def _of_export(path: Path) -> ScheduleSource:
    from omsdpm.pipelines.file import ScheduleFile

    file = ScheduleFile.read(path)
    timesteps = file.space.timesteps
    said = {"solver": file.space.solver, **file.options.model_dump()}
    if timesteps is not None:
        said["timesteps"] = list(timesteps)
    return ScheduleSource(str(path), _rows(str(path), [list(file.schedule)]), problem=said)


def _csv(path: Path) -> list[dict[str, str]] | None:
    """Rows of a CSV with schedules and budgets; ``None`` for another file."""
    if path.suffix.lower() != ".csv" or path.stat().st_size > 2**26:
        return None
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not {"schedule", "budget_ms"} <= set(reader.fieldnames or ()):
                return None
            return list(reader)
    except (UnicodeDecodeError, csv.Error):
        return None


def _of_csv(path: Path, rows: list[dict[str, str]]) -> ScheduleSource:
    from studies.records.tables import uncell

    schedules, budgets, benchmarks = [], [], []
    for number, row in enumerate(rows):
        text = uncell(row["schedule"] or "")
        if not TYPED.fullmatch(text):
            raise InputError(f"{path}: row {number} has {text[:40]!r} for a schedule: expected numbers as 3 0 3 2 0")
        try:
            budget = float(row["budget_ms"])
        except (TypeError, ValueError):
            raise InputError(
                f"{path}: row {number} has {row['budget_ms']!r} for budget_ms: expected a number"
            ) from None
        schedules.append(_typed(text))
        budgets.append(budget)
        benchmarks.append(uncell(row.get("benchmark") or ""))
    if not schedules:
        raise InputError(f"{path} has no rows: expected {EXPECTED}")
    beside = path.parent / RESULT
    problem: Mapping[str, Any] = {}
    if path.name == "winners.csv" and beside.exists() and (table := _result(beside)) is not None:
        problem = _of_result(beside, table).problem  # the same run's, which a CSV has no room for
    named = tuple(benchmarks) if all(benchmarks) else ()
    return ScheduleSource(str(path), _rows(str(path), schedules), tuple(budgets), problem=problem, benchmarks=named)


def _rows(source: str, schedules: list[list[int]]) -> Schedules:
    """``(n, L)`` of lists.

    Raises:
        InputError: lists of different lengths, or entries that are no member numbers.
    """
    for row, schedule in enumerate(schedules):
        if not all(isinstance(member, int) and 0 <= member < 2**31 for member in schedule) or not schedule:
            raise InputError(f"{source}: schedule {row} is no list of member numbers, 0 for null")
        if len(schedule) != len(schedules[0]):
            raise InputError(
                f"{source}: schedule {row} has {len(schedule)} slots, schedule 0 has {len(schedules[0])}; "
                "choose rows of one problem"
            )
    return np.array(schedules, dtype=np.int64)
