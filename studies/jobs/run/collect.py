"""Labels that a job measures itself, kept in its folder as they are made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from omsdpm.errors import InputError
from omsdpm.files import replacing
from studies.active import ActiveSearch, LabelStore
from studies.active.loop import START, LeftToSpend
from studies.jobs.naming import predictor_of
from studies.jobs.run.folder import RunFolder
from studies.jobs.run.report import Begun

if TYPE_CHECKING:
    from omsdpm.dataset import ScheduleDataset

LABELS_FILE = "labels.parquet"
"""Of a run on a benchmark."""

PLOT = "labels.png"


def check_labels(labels: int) -> None:
    """Raises :class:`InputError` for fewer labels than an active search starts with."""
    if labels < START:
        raise InputError(f"{labels} labels: the start design alone has {START}; give more")


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
    search = ActiveSearch(
        begun.priced,
        begun.budgets,
        begun.optimizer,
        lambda seed: predictor_of(begun.settings.predictor, benchmark, seed),
        lambda X: benchmark.evaluate(X, device=begun.device),
        seed=begun.settings.seed,
    )
    with run.part(begun.clock, "labels", f"Measuring {labels} labels where they decide") as step:

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
