"""Running the cells of a study that are not there yet, and writing its tables."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omsdpm.dataset.build import Workers
from omsdpm.devices import resolve_device
from omsdpm.errors import InputError
from omsdpm.files import locked, writable_folder, write_json
from omsdpm.tables import read_json
from studies.jobs.naming import benchmark_of
from studies.jobs.study.cell import Cell, measure_cell
from studies.jobs.study.settings import StudySettings, check_name
from studies.jobs.study.tables import Rows, rows_of, write_tables
from studies.records.progress import SILENT, Reporter

CELLS, RUNS, LOCK = "cells", "runs", ".study.lock"


@dataclass(frozen=True)
class StudyResult:
    """A study's folder, and what is in it.

    Attributes:
        folder: with the tables, plots and ``cells``.
        rows: a row a cell and budget.
        made, there: cells that were run now, and that were there before.
    """

    folder: Path
    rows: Rows
    made: int
    there: int

    @property
    def failures(self) -> Rows:
        """The rows that have no result, each with its ``reason``."""
        return [row for row in self.rows if row["status"] != "ok"]


def study(settings: StudySettings, reporter: Reporter = SILENT) -> StudyResult:
    """Runs each cell of the matrix once and writes tables and plots of all.

    Every cell is one file in ``cells``, written as soon as the cell is known, and named by all
    that it depends on; a file that is there is not made again, except failures with ``retry``.

    Raises:
        InputError: an unknown name or a wrong value, before anything is run; a folder that cannot
            be written, or in which a study is running; workers that died.
    """
    cells = plan(settings)
    folder = writable_folder(settings.output)
    with locked(folder / LOCK, timeout=0) as held:
        if not held:
            raise InputError(f"a study is running in {folder}: wait for it, or name another --output")
        writable_folder(folder / CELLS)
        # What devices there are on a cluster its workers know, not this machine.
        device = settings.device if settings.executor == "dask" else resolve_device(settings.device)
        outcomes = {cell: kept for cell in cells if (kept := _read(folder / CELLS / cell.file)) is not None}
        if settings.retry:
            outcomes = {
                cell: kept for cell, kept in outcomes.items() if all(row["status"] == "ok" for row in kept["rows"])
            }
        there = len(outcomes)
        todo = [cell for cell in cells if cell not in outcomes]
        if there:
            reporter.note(f"{there} of {len(cells)} cells are there already")
        if todo:
            with reporter.part(f"Running {len(todo)} cells") as step:
                workers = Workers(settings.executor, settings.jobs, 1, settings.scheduler, device)
                outcomes |= _run(todo, folder, workers, device, step)
        rows = rows_of([(cell, outcomes[cell]) for cell in cells])
        with reporter.part("Writing tables"):
            write_json(folder / "study.json", {"settings": settings.as_dict(), "command": settings.command()})
            write_tables(folder, rows, settings.targets)
    result = StudyResult(folder, rows, len(todo), there)
    for row in result.failures:
        reporter.note(
            f"failed: {row['optimizer']} with {row['predictor']} on {row['benchmark']}, seed {row['seed']}, "
            f"{row['budget']:g} ms: {row['reason']}"
        )
    return result


def plan(settings: StudySettings) -> list[Cell]:
    """The cells in the order that they run: those that share a fit are neighbors.

    Raises:
        InputError: an unknown benchmark, optimizer or predictor, or a training split without so many schedules.
    """
    from studies.jobs.run.settings import training_data

    for kind in ("optimizer", "predictor"):
        for text in getattr(settings, f"{kind}s"):
            check_name(kind, text)
    cells = []
    for name in dict.fromkeys(settings.benchmarks):
        benchmark = benchmark_of(name)
        training_data(benchmark, settings.train_size, 0)
        budgets = tuple(sorted(set(settings.budgets or benchmark.budgets)))
        for budget in budgets:
            if not 0 < budget < float("inf"):
                raise InputError(f"--budget {budget:g}: expected a positive number of ms")
        for predictor in dict.fromkeys(settings.predictors):
            for seed in range(settings.first_seed, settings.first_seed + settings.seeds):
                for optimizer in dict.fromkeys(settings.optimizers):
                    cells.append(
                        Cell(
                            name, optimizer, predictor, benchmark.data_hash, seed, tuple(map(float, budgets)),
                            settings.evaluations, settings.train_size, settings.kappa,
                            settings.validated, settings.validate_seeds,
                        )
                    )  # fmt: skip
    return cells


def _run(todo: list[Cell], folder: Path, workers: Workers, device: str, step: Any) -> dict[Cell, dict[str, Any]]:
    outcomes: dict[Cell, dict[str, Any]] = {}
    waiting = list(reversed(todo))
    flying: dict[Future[Any], Cell] = {}
    try:
        with workers.open() as pool:
            executor = pool.executor()
            while waiting or flying:
                while waiting and len(flying) < pool.in_flight:
                    cell = waiting.pop()
                    flying[executor.submit(measure_cell, cell, str((folder / RUNS).resolve()), device)] = cell
                for future in pool.done(flying):
                    cell = flying.pop(future)
                    outcomes[cell] = future.result()
                    write_json(folder / CELLS / cell.file, outcomes[cell])
                    step(len(outcomes), len(todo))
    except BrokenExecutor as error:
        raise InputError(
            f"a worker died: {len(outcomes)} of {len(todo)} cells are kept; give the same command again, "
            "with fewer --jobs if memory ran out"
        ) from error
    return outcomes


REMOVE = "remove it, and it is run again"


def _read(path: Path) -> dict[str, Any] | None:
    """A cell's file, ``None`` where there is none.

    Raises:
        InputError: it is damaged.
    """
    if not path.exists():
        return None
    try:
        kept: dict[str, Any] = read_json(path, REMOVE)
        kept["cell"], [row["status"] for row in kept["rows"]]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} holds no cell of a study: {REMOVE}") from error
    return kept
