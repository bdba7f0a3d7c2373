"""The landscape of a benchmark: every measured schedule, score against latency."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.ticks import plain_log_ticks
from omsdpm.errors import InputError
from omsdpm.files import replacing

if TYPE_CHECKING:
    from benchmarks import Benchmark

WIDE = 5.0
"""Ratio of scores from which their axis is logarithmic."""


def write_landscape(benchmark: Benchmark, path: Path) -> None:
    """Draws score against latency, colored by network evaluations, with the front, as PNG.

    Raises:
        InputError: the benchmark has no measured schedule, or the file cannot be written.
    """
    from matplotlib.figure import Figure

    from omsdpm.pareto import nondominated

    dataset = benchmark.dataset
    if not len(dataset):
        raise InputError(f"benchmark {benchmark.name} has no measured schedule: there is nothing to draw")
    latency = benchmark.space.latency(dataset.X, benchmark.latency)
    nfe = benchmark.space.nfe(dataset.X)
    front = nondominated(dataset.y, latency)
    exhaustive = benchmark.exhaustive

    figure = Figure(figsize=(9, 5.4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    order = np.random.default_rng(0).permutation(len(dataset))  # else one color would hide the others
    points = axes.scatter(
        latency[order], dataset.y[order], c=nfe[order], s=5 if len(dataset) > 5000 else 9, cmap="viridis_r",
        linewidths=0, alpha=0.6, rasterized=True,
    )  # fmt: skip
    axes.plot(
        latency[front], dataset.y[front], color="#c0182b", linewidth=1.4, drawstyle="steps-post", marker="o",
        markersize=3.5, label=f"{'exact front' if exhaustive else 'front of the measured'} ({len(front)} schedules)",
    )  # fmt: skip
    for number, budget in enumerate(benchmark.budgets):
        axes.axvline(budget, color="#8a919c", linewidth=0.8, linestyle=(0, (2, 3)), label=None if number else "budgets")
    if dataset.y.min() > 0 and dataset.y.max() > WIDE * dataset.y.min():
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis)
    axes.set_xlim(0, None)
    axes.set_xlabel("frozen latency (ms)")
    axes.set_ylabel(f"{benchmark.metric} (lower is better)")
    what = f"all {len(dataset):,} schedules" if exhaustive else f"{len(dataset):,} measured schedules"
    axes.set_title(f"{benchmark.name}: {what}, {benchmark.measurement.images} images each", loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper right", fontsize=9)
    figure.colorbar(points, ax=axes, label="network evaluations", pad=0.02).outline.set_visible(False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
