"""The picture of a run: measured and predicted quality against latency, and the winners' slots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ticks import plain_log_ticks
from omsdpm.dataset import ScheduleDataset
from omsdpm.files import replacing
from studies.jobs.run.result import RunResult
from studies.jobs.run.winners import SEARCH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from benchmarks import Benchmark
    from studies.problem import Scorer

Color = tuple[float, float, float]

GRAY, ORANGE, BLUE, RED, GREEN = "#b8bcc2", "#e08a1e", "#2b6cb0", "#c0182b", "#2f855a"
MARKS = {"single": ("o", ORANGE, "single members"), "stitch": ("s", BLUE, "two-member stitches")}
"""Marker, color and words of the strategies whose proposals are all baselines."""

OTHERS = ("^", GREEN, "choices of other strategies")
LATENCY_LABEL = "frozen latency (ms)"
DESIGNS = "random designs"
NUMBERED_SLOTS = 50
"""Most slots whose cells have room for the member's number."""


def write_plot(result: RunResult, benchmark: Benchmark, predictor: Scorer, path: Path) -> None:
    """Writes the run's plot as PNG."""
    from matplotlib.figure import Figure  # the object interface needs no display and no pyplot state

    strips = 0.55 + 0.42 * len(result.winners)
    figure = Figure(figsize=(13, 5.2 + strips), dpi=110, layout="constrained")
    gains = [winner for winner in result.winners if winner.paired is not None]
    grid = figure.add_gridspec(2, 3, height_ratios=[4.8, strips], width_ratios=[1, 1, 0.45 if gains else 0.01])
    designs = _random_designs(benchmark.dataset)
    measured, predicted = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    right = 1.12 * max(result.budgets)
    _measured(measured, result, benchmark, designs, right)
    _predicted(predicted, result, predictor, benchmark, designs, right)
    if gains:
        _gains(figure.add_subplot(grid[0, 2]), result)
    draw_strips(figure.add_subplot(grid[1, :]), result, benchmark)
    figure.suptitle(f"{result.problem['name']}: {result.optimizer} on {result.predictor}", fontsize=13)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _random_designs(dataset: ScheduleDataset) -> ScheduleDataset:
    """The part of the dataset that no predictor has seen; all of it where there is no test split."""
    test = dataset.subset("test")
    return test if len(test) else dataset


def _measured(axes: Axes, result: RunResult, benchmark: Benchmark, designs: ScheduleDataset, right: float) -> None:
    """Scores of sampled images: random designs, baselines, winners."""
    latency = benchmark.space.latency(designs.X, benchmark.latency)
    # A Fréchet distance depends on the number of images, so every label says it.
    label = f"{DESIGNS}, {benchmark.measurement.images} images"
    axes.scatter(latency, designs.y, s=9, color=GRAY, linewidths=0, label=label)
    stored_images, stored_seeds = benchmark.validation
    shown = [(latency, designs.y)]
    for mark in dict.fromkeys([*MARKS.values(), OTHERS]):
        of_kind = [one for one in benchmark.baselines if MARKS.get(one.kind, OTHERS) == mark]
        if of_kind:
            marker, color, what = mark
            x = np.array([baseline.latency for baseline in of_kind])
            y = np.array([baseline.mean for baseline in of_kind])
            label = f"{what}, {stored_images} images x {len(stored_seeds)}"
            axes.scatter(x, y, s=16, marker=marker, facecolors="none", edgecolors=color, linewidths=0.8, label=label)
            shown.append((x, y))
    report = result.validation
    if report is not None:
        sampled = f"{report.images} images x {len(report.seeds)}"
        for which, marker, size, color, label in (
            ("baseline", "o", 45, BLUE, f"best baselines, {sampled}"),
            ("measured", "*", 110, RED, f"winners (mean ± std), {sampled}"),
        ):
            scored = [getattr(winner, which) for winner in result.winners if winner.measured is not None]
            scored = [one for one in scored if one is not None]
            if scored:
                x, y = np.array([one.latency for one in scored]), np.array([one.mean for one in scored])
                spread = [one.std for one in scored]
                axes.errorbar(x, y, yerr=spread, fmt="none", ecolor=color, elinewidth=1.4, capsize=4, zorder=4)
                axes.scatter(
                    x, y, s=size, marker=marker, color=color, edgecolors="white", linewidths=0.6, zorder=5, label=label
                )
                shown.append((x, y))
    _limit(axes, shown, right)
    _finish(axes, result, "Measured: images sampled and scored", f"{result.metric_name} (lower is better)")


def _predicted(
    axes: Axes, result: RunResult, predictor: Scorer, benchmark: Benchmark, designs: ScheduleDataset, right: float
) -> None:
    """The predictor's scores, on an axis of their own: they are no measurements."""
    latency = benchmark.space.latency(designs.X, benchmark.latency)
    scores = predictor.predict(designs.X)
    axes.scatter(latency, scores, s=9, color=GRAY, linewidths=0, label=DESIGNS)
    outcome = result.outcome
    axes.plot(
        outcome.front_latency, outcome.front_scores, color="#333a45", linewidth=1.2, marker=".", markersize=4,
        drawstyle="steps-post", label=f"predicted front ({len(outcome.front)} schedules)",
    )  # fmt: skip
    axes.scatter(
        [winner.latency for winner in result.winners],
        [winner.predicted for winner in result.winners],
        s=130, marker="*", color=RED, edgecolors="white", linewidths=0.8, zorder=5, label="winners",
    )  # fmt: skip
    _limit(axes, [(latency, scores), (outcome.front_latency, outcome.front_scores)], right)
    _finish(axes, result, f"Predicted by {result.predictor}", "predicted score (lower is better)")


def _gains(axes: Axes, result: RunResult) -> None:
    """Gains over the best baselines with their 95 % intervals, a budget each."""
    colors = {"better": GREEN, "worse": RED}
    for row, winner in enumerate(result.winners):
        paired = winner.paired
        if paired is None or paired.gain is None:
            continue
        color = colors.get(paired.verdict, "#6b7280")
        axes.errorbar(
            [paired.gain], [row], xerr=None if paired.gain_margin is None else [[paired.gain_margin]] * 2,
            fmt="o" if winner.source == SEARCH else "D", color=color, elinewidth=2, capsize=5, markersize=7,
        )  # fmt: skip
        axes.annotate(
            f"{paired.gain:+.1f} %, {winner.verdict}", (paired.gain, row), xytext=(0, 9), textcoords="offset points",
            ha="center", fontsize=8, color=color,
        )  # fmt: skip
    axes.axvline(0, color="#333a45", linewidth=0.8)
    axes.set_yticks(range(len(result.winners)), [f"{winner.budget:g} ms" for winner in result.winners])
    axes.set_ylim(len(result.winners) - 0.5, -0.6)
    axes.margins(x=0.35)
    axes.set_xlabel("gain (%), 95 % interval")
    axes.set_title("Gain over the best baseline", fontsize=10.5, loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def draw_strips(axes: Axes, result: RunResult, benchmark: Benchmark) -> None:
    """Each winner as a row of cells, one a slot, in sampling order from noise to image.

    Stronger lines part the single-step solvers of DPM-Solver.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    members = benchmark.space.num_models
    colors = member_colors(members)
    palette: list[Any] = ["white", *colors]
    rows = np.array([winner.schedule[::-1] for winner in result.winners])  # (b, L), noise end first
    axes.pcolormesh(
        rows,
        cmap=ListedColormap(palette),
        vmin=-0.5,
        vmax=members + 0.5,
        edgecolors="#d5d8dc",
        linewidth=0.8,
    )
    if benchmark.space.group_size > 1:
        ends = np.arange(0, rows.shape[1] + 1, benchmark.space.group_size)
        axes.vlines(ends, 0, len(rows), color="#9aa0a8", linewidth=1.6)
    if rows.shape[1] <= NUMBERED_SLOTS:
        for (row, slot), member in np.ndenumerate(rows):
            if member:
                dark = sum(colors[member - 1]) < 1.5
                axes.text(
                    slot + 0.5, row + 0.5, str(member), ha="center", va="center",
                    fontsize=8, color="white" if dark else "black",
                )  # fmt: skip
    axes.invert_yaxis()
    axes.set_yticks(np.arange(len(rows)) + 0.5, [f"{winner.budget:g} ms" for winner in result.winners])
    axes.set_xticks([0.5, rows.shape[1] - 0.5], ["noise", "image"])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("Winners, one cell a slot, in sampling order", fontsize=10.5, loc="left")
    handles = [Patch(facecolor="white", edgecolor="#9aa0a8", label="skip")]
    for number, (color, ms) in enumerate(zip(colors, benchmark.latency, strict=True), start=1):
        handles.append(Patch(facecolor=color, label=f"{number}: {ms:.3g} ms"))
    axes.legend(
        handles=handles, title="member", loc="upper left", bbox_to_anchor=(1.005, 1.12), frameon=False,
        fontsize=8, title_fontsize=8, ncols=1 + (len(handles) > 2 * len(rows) + 2),
    )  # fmt: skip


def member_colors(members: int) -> list[Color]:
    """A color a member, from light for the first to dark for the last."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    return [to_rgb(colormaps["viridis_r"](x)) for x in np.linspace(0.05, 0.95, members)]


def _limit(axes: Axes, shown: list[tuple[NDArray[np.float64], NDArray[np.float64]]], right: float) -> None:
    """Limits that the points up to ``right`` need; logarithmic where scores span much."""
    y = np.concatenate([scores[latency <= right] for latency, scores in shown])
    if len(y) and y.min() > 0 and y.max() > 5 * y.min():
        axes.set_yscale("log")
        axes.set_ylim(0.85 * y.min(), 1.15 * y.max())
        plain_log_ticks(axes.yaxis)
    axes.set_xlim(0, right)


def _finish(axes: Axes, result: RunResult, title: str, ylabel: str) -> None:
    for number, budget in enumerate(result.budgets):
        label = "budgets" if number == 0 else None
        axes.axvline(budget, color="#8a919c", linewidth=0.8, linestyle=(0, (2, 3)), zorder=0, label=label)
    axes.set_title(title, fontsize=10.5, loc="left")
    axes.set_xlabel(LATENCY_LABEL)
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, loc="upper right", framealpha=0.9)
