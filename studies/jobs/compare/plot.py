"""The pictures of a comparison: learning curves, and predicted against measured scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.ticks import plain_log_ticks
from omsdpm.files import replacing
from studies.jobs.compare.predictions import LEVEL, Predictions, predictions_path, read_predictions
from studies.jobs.compare.result import Comparison
from studies.jobs.run.plot import BLUE, ORANGE, RED
from studies.paired import CONFIDENCE, mean_and_margin

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = (BLUE, ORANGE, RED, "#2f855a", "#7b4ea3", "#4a5260", "#0f8b9d", "#a8683a")
MARKERS = "osD^vPXp"
SPLITS = {"test": BLUE, "elite": ORANGE}
PANELS = {
    "kendall_tau": "Test: random schedules",
    "elite_kendall_tau": "Elite: good schedules",
}

LEAST_ERROR = 1e-4
"""Where the logarithmic axis of ``1 - tau`` takes a perfect ranking."""

BARS = 120
"""Most intervals of a split that a panel has room for."""

PREDICTED_BEYOND = 2.0
"""How far beyond the measured scores a logarithmic axis of predictions goes, as a ratio."""

ACROSS = 4
"""Most panels side by side."""


def write_learning_curves(comparison: Comparison, path: Path) -> None:
    """Writes ``1 - tau`` on test and elite by train size as PNG: means, with bands of confidence in them."""
    from matplotlib.figure import Figure

    shown = [column for column in PANELS if _known(comparison, column)]
    figure = Figure(figsize=(1.2 + 4.9 * len(shown), 4.8), dpi=110, layout="constrained")
    for number, column in enumerate(shown, start=1):
        axes = figure.add_subplot(1, len(shown), number)
        _curves(axes, comparison, column)
        axes.set_title(PANELS[column], fontsize=10.5, loc="left")
        if number == 1:
            axes.legend(fontsize=8, framealpha=0.9)
    figure.suptitle(
        f"{comparison.benchmark}: mean of the seeds, with its {CONFIDENCE:.0%} confidence band", fontsize=12
    )
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def write_predicted_against_measured(comparison: Comparison, path: Path) -> list[str]:
    """Writes a panel for each predictor as PNG, from the largest fit whose predictions are kept.

    Returns:
        The predictors of which no predictions are kept; nothing is written if it is all of them.
    """
    from matplotlib.figure import Figure

    kept = {name: largest for name in comparison.predictors if (largest := _largest_kept(comparison, name)) is not None}
    missing = [name for name in comparison.predictors if name not in kept]
    if not kept:
        return missing
    limits = _limits([predictions for _, predictions in kept.values()])
    down = -(-len(kept) // ACROSS)
    across = -(-len(kept) // down)
    figure = Figure(figsize=(0.4 + 3.7 * across, 0.9 + 3.6 * down), dpi=110, layout="constrained")
    for number, (name, (size, predictions)) in enumerate(kept.items()):
        axes = figure.add_subplot(down, across, number + 1)
        _panel(axes, predictions, limits)
        row = comparison.rows[name, size, 0]
        taus = " / ".join(f"{float(row[column] or 'nan'):.3f}" for column in PANELS)
        axes.set_title(f"{name}, {size} labels: tau {taus}", fontsize=9.5, loc="left")
        axes.set_xlabel(f"predicted {comparison.metric}")
        if number % across == 0:
            axes.set_ylabel(f"measured {comparison.metric}")
        if number == 0:
            axes.legend(fontsize=8, loc="upper left", framealpha=0.9)
    title = f"{comparison.benchmark}: held-out schedules, seed 0; tau on test / elite"
    if any(np.isfinite(predictions.low).any() for _, predictions in kept.values()):
        title += f"\nlines are {LEVEL:.0%} intervals"
    figure.suptitle(title, fontsize=11)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return missing


def _known(comparison: Comparison, column: str) -> bool:
    return any(len(comparison.values(column, name, size)) for name, size, _ in comparison.rows)


def _curves(axes: Axes, comparison: Comparison, column: str) -> None:
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    lowest, highest = np.inf, -np.inf
    for number, name in enumerate(comparison.predictors):
        sizes = [size for size in comparison.sizes if len(comparison.values(column, name, size))]
        if not sizes:
            continue
        margins = [mean_and_margin(1 - comparison.values(column, name, size)) for size in sizes]
        mean, margin = (np.array(part) for part in zip(*margins, strict=True))
        mean = np.maximum(mean, LEAST_ERROR)
        color = LINES[number % len(LINES)]
        axes.plot(
            sizes, mean, color=color, marker=MARKERS[number % len(MARKERS)], markersize=4.5, linewidth=1.4, label=name
        )
        axes.fill_between(
            sizes, np.maximum(mean - margin, LEAST_ERROR), mean + margin, color=color, alpha=0.12, linewidth=0
        )
        lowest, highest = min(lowest, mean.min()), max(highest, mean.max())
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(comparison.sizes))
    axes.xaxis.set_major_formatter(lambda size, _: f"{size:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yscale("log")
    axes.set_ylim(0.75 * lowest, 1.3 * highest)  # the means decide: the band of two seeds may have any width
    plain_log_ticks(axes.yaxis, (1, 1.5, 2, 3, 4, 5, 7))
    axes.grid(axis="y", color="#e3e6ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel("training schedules")
    axes.set_ylabel("1 - Kendall tau (lower is better)")
    axes.spines[["top", "right"]].set_visible(False)


def _largest_kept(comparison: Comparison, name: str) -> tuple[int, Predictions] | None:
    """The predictions of the largest fit of seed 0, with its train size; ``None`` if none are kept."""
    for size in reversed(comparison.sizes):
        path = predictions_path(comparison.folder, comparison.benchmark, name, size, 0)
        if (name, size, 0) in comparison.rows and path.is_file():
            return size, read_predictions(path)
    return None


def _limits(shown: list[Predictions]) -> tuple[float, float, bool]:
    """Both axes' ends for all panels, and whether they are logarithmic.

    A prediction far outside of what was measured, as a poor fit has some, is not let into
    them: it would leave no room for the others.
    """
    measured = np.concatenate([part.measured for part in shown])
    predicted = np.concatenate([part.predicted for part in shown])
    least, most = float(measured.min()), float(measured.max())
    if min(least, predicted.min()) > 0:
        low, high = np.clip(
            [predicted.min(), predicted.max()], [least / PREDICTED_BEYOND, most], [least, most * PREDICTED_BEYOND]
        )
        return 0.85 * low, 1.18 * high, True
    low, high = min(least, predicted.min()), max(most, predicted.max())
    room = 0.05 * (high - low)
    return low - room, high + room, False


def _panel(axes: Axes, predictions: Predictions, limits: tuple[float, float, bool]) -> None:
    low, high, log = limits
    rng = np.random.default_rng(0)
    for split, color in SPLITS.items():
        rows = np.flatnonzero(predictions.split == split)
        if not len(rows):
            continue
        x, y = np.clip(predictions.predicted, low, high), predictions.measured  # what is outside lies on the edge
        axes.scatter(
            x[rows], y[rows], s=7 if len(rows) <= 500 else 4, color=color, linewidths=0, alpha=0.75, label=split
        )
        barred = rng.permutation(rows)[:BARS]
        barred = barred[np.isfinite(predictions.low[barred]) & np.isfinite(predictions.high[barred])]
        axes.hlines(
            y[barred], np.maximum(predictions.low[barred], low), predictions.high[barred],
            color=color, linewidth=0.6, alpha=0.35, zorder=1,
        )  # fmt: skip
    axes.axline((low, low), (high, high), color="#333a45", linewidth=0.8, linestyle=(0, (4, 3)), zorder=3)
    if log:
        axes.set_xscale("log")
        axes.set_yscale("log")
        plain_log_ticks(axes.xaxis)
        plain_log_ticks(axes.yaxis)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.spines[["top", "right"]].set_visible(False)
