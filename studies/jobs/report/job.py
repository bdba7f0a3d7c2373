"""Runs as one page that opens offline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from omsdpm.dataset import ScheduleDataset
from omsdpm.errors import InputError
from omsdpm.files import check_creatable, check_writable, replacing
from omsdpm.latency import LatencyTable
from studies.jobs.report.page import page
from studies.jobs.report.result import ReportResult
from studies.jobs.report.settings import ReportSettings
from studies.jobs.report.study import FILE as STUDY_FILE
from studies.jobs.report.study import read_study
from studies.jobs.run.result import FILE, RunResult
from studies.jobs.study.job import RUNS
from studies.metrics import best_so_far
from studies.records.progress import SILENT, Reporter

LABELS_FILE = "schedules.parquet"
"""Of a search that measures its own labels: a row each, in the order in which they were made."""


@dataclass(frozen=True, eq=False)
class ShownRun:
    """A run, and what its folder has beside the result.

    Attributes:
        anytime: for each budget (ms) the lowest label within it after 1, 2, ... labels.
        images: of winners and baselines, as PNG, by file name.
    """

    result: RunResult
    anytime: dict[float, list[float]]
    images: dict[str, bytes]


def report(settings: ReportSettings, reporter: Reporter = SILENT) -> ReportResult:
    """Writes the page.

    Raises:
        InputError: a folder that holds no run, a damaged one, or a page that cannot be written.
    """
    studies = [path for path in dict.fromkeys(settings.runs) if (path / STUDY_FILE).is_file()]
    folders = run_folders(settings.runs)
    check_creatable(settings.html.parent)  # made only when the runs are known to be whole
    with reporter.part(f"Reading {len(folders)} runs and {len(studies)} studies, and drawing"):
        runs = sorted((_shown(folder) for folder in folders), key=lambda run: (_name(run.result), run.result.when))
        check_writable(settings.html)
        text = page(settings.title, runs, [read_study(folder) for folder in studies])
    with replacing(settings.html) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return ReportResult(
        settings=settings,
        folders=tuple(run.result.folder for run in runs),
        studies=tuple(studies),
        images=sum(len(run.images) for run in runs),
        size=settings.html.stat().st_size,
    )


def run_folders(given: Iterable[Path]) -> list[Path]:
    """Run folders, each once; of a folder without a result those in it that have one, and of a study its runs.

    Raises:
        InputError: a folder that has none either, and is no study.
    """
    folders: dict[Path, Path] = {}
    for path in given:
        study = (path / STUDY_FILE).is_file()
        within = f"{RUNS}/*/{FILE}" if study else f"*/{FILE}"
        runs = [path] if (path / FILE).exists() else sorted(file.parent for file in path.glob(within))
        if not runs and not study:
            raise InputError(
                f"{path} holds no {FILE}, nor does a folder in it: name what `omsdpm-bench run` or `study` wrote"
            )
        for folder in runs:
            folders.setdefault(folder.resolve(), folder)
    return list(folders.values())


def _name(result: RunResult) -> str:
    return str(result.problem.get("name", ""))


def _shown(folder: Path) -> ShownRun:
    result = RunResult.read(folder)
    images = {}
    for winner in result.winners:
        for name in (f"samples-{winner.budget:.12g}.png", f"samples-{winner.budget:.12g}-baseline.png"):
            if (folder / name).is_file():
                images[name] = (folder / name).read_bytes()
    return ShownRun(result, _anytime(result), images)


def _anytime(result: RunResult) -> dict[float, list[float]]:
    path = result.folder / LABELS_FILE
    if not path.is_file():
        return {}
    labels = ScheduleDataset.read(path)
    latency = labels.space.latency(labels.X, LatencyTable.from_facts(result.problem))
    curves = {budget: best_so_far(labels.y, latency, budget) for budget in result.budgets}
    return {budget: curve.tolist() for budget, curve in curves.items() if np.isfinite(curve).any()}
