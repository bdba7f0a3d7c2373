"""Labels that a job measures itself, kept in its folder as they are made."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.files import replacing
from omsdpm.solvers import Schedules
from studies.active import ActiveSearch, LabelStore
from studies.active.loop import START, LeftToSpend
from studies.jobs.naming import predictor_of
from studies.jobs.run.folder import RunFolder
from studies.jobs.run.report import Begun

if TYPE_CHECKING:
    from benchmarks import Benchmark
    from omsdpm.dataset import ScheduleDataset
    from studies.jobs.run.settings import ReportedSettings

LABELS_FILE = "labels.parquet"
"""Of a run on a benchmark."""

PLOT = "labels.png"

WORK = "labels.work"
"""Folder of a batch's shards, while it is measured."""


def check_labels(labels: int) -> None:
    """Raises :class:`InputError` for fewer labels than an active search starts with."""
    if labels < START:
        raise InputError(f"{labels} labels: the start design alone has {START}; give more")


def check_workers(settings: ReportedSettings, benchmark: Benchmark) -> None:
    """Raises :class:`InputError` for an executor of a benchmark that samples no labels, or has its own way to."""
    from benchmarks import Benchmark

    if settings.executor is not None and type(benchmark).evaluate is not Benchmark.evaluate:
        raise InputError(
            f"--executor {settings.executor} samples labels, and {benchmark.name} has its own way to measure "
            "schedules, such as a table: leave it out"
        )


def collect(begun: Begun, run: RunFolder, file: str, facts: Mapping[str, Any], labels: int) -> ScheduleDataset:
    """The labels that an active search measured into the job's folder.

    Those of a search that was killed count, and so do those of one that has ended where more are asked for.

    Args:
        begun: the job.
        run: its folder.
        file: name of the labels' file in it.
        facts: what labels depend on, beside the space and the metric.
        labels: how many, those that the folder has included.

    Raises:
        InputError: labels of something else.
    """
    benchmark, folder = begun.benchmark, run.path
    store = LabelStore(folder / file, benchmark.space, benchmark.metric, facts)
    with (
        _measuring(begun, folder) as measure,
        run.part(begun.clock, "labels", f"Measuring {labels} labels where they decide") as step,
    ):
        search = ActiveSearch(
            begun.priced,
            begun.budgets,
            begun.optimizer,
            lambda seed: predictor_of(begun.settings.predictor, benchmark, seed),
            measure,
            seed=begun.settings.seed,
        )

        def report_state(state: LeftToSpend) -> None:
            step(state.labels, labels)
            if state.labels:
                best = ", ".join(
                    f"{score:.4g} under {budget:g} ms"
                    for score, budget in zip(state.best, begun.budgets, strict=True)
                    if np.isfinite(score)
                )
                begun.reporter.note(f"{state.labels} labels: {best}")

        search.run(store, labels, report_state)
    write_plot(store.dataset, begun, folder / PLOT)
    return store.dataset


@contextmanager
def _measuring(begun: Begun, folder: Path) -> Iterator[Callable[[Schedules], NDArray[np.float64]]]:
    """What measures a batch of schedules: this process, or workers, whose shards are kept until all are there."""
    workers = begun.settings.workers
    if workers is None:
        yield lambda X: begun.benchmark.evaluate(X, device=begun.device)
        return
    from omsdpm.dataset.build import measure_sharded
    from omsdpm.dataset.shards import scores_of

    with workers.open() as pool:

        def measure(X: Schedules) -> NDArray[np.float64]:
            # By content: a search that was killed asks for the same batch again, and has what was done of it.
            work = folder / WORK / hashlib.blake2b(np.ascontiguousarray(X).tobytes(), digest_size=8).hexdigest()
            size = -(-len(X) // pool.in_flight)
            scores = scores_of(measure_sharded(begun.benchmark.measurement, X, work, pool, size))
            shutil.rmtree(folder / WORK, ignore_errors=True)
            return scores

        yield measure


def write_plot(dataset: ScheduleDataset, begun: Begun, path: Path) -> None:
    """The best label under each budget against the number of labels, as PNG."""
    from matplotlib.figure import Figure

    from benchmarks.ticks import plain_log_ticks

    latency = begun.benchmark.space.latency(dataset.X, begun.benchmark.latency)
    figure = Figure(figsize=(6.4, 4), dpi=110, layout="constrained")
    axes = figure.subplots()
    for budget in begun.budgets:
        within = np.where(latency <= budget, dataset.y, np.inf)
        best = np.minimum.accumulate(within)
        known = np.isfinite(best)
        axes.step(np.arange(1, len(best) + 1)[known], best[known], where="post", label=f"{budget:g} ms")
    started = int((dataset.design == "start").sum())
    axes.axvline(started, color="#8a919c", linewidth=0.8, linestyle=(0, (2, 3)), label="end of the start design")
    if (dataset.y > 0).all():
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis)
    axes.set_xlabel("labels")
    axes.set_ylabel(f"best {begun.benchmark.metric} so far (lower is better)")
    axes.set_title("Best label under each budget", fontsize=10.5, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
