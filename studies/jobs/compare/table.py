"""A comparison of predictors as a table in a terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table

from studies.jobs.compare.columns import FOUND_GAP
from studies.jobs.compare.result import Comparison


def comparison_table(comparison: Comparison) -> Table:
    """How well each predictor ranks by train size; then what its largest fit took, and its intervals."""
    largest = comparison.sizes[-1]
    counts = {len(comparison.values("fit_seconds", name, size)) for name, size, _ in comparison.rows}
    seeds = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else str(counts.pop())
    caption = (
        f"Kendall's tau on test/elite schedules, mean of {seeds} seed{'s' * (seeds != '1')}. Fit and coverage, of "
        f"50/90 % intervals on test, are of {largest} training schedules"
    )
    searched = any(len(comparison.values(FOUND_GAP, name, largest)) for name in comparison.predictors)
    caption += (
        ", and so is found: how far the best of ten that a search finds is above the best known, mean over budgets."
        if searched
        else "."
    )
    table = Table(
        title=f"{comparison.benchmark}: predictors by number of training schedules", title_justify="left",
        caption=caption, caption_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    table.add_column("predictor", overflow="fold")
    for size in comparison.sizes:
        table.add_column(str(size), justify="right", no_wrap=True)
    if searched:
        table.add_column("found (%)", justify="right", no_wrap=True)
    table.add_column("fit (s)", justify="right", no_wrap=True)
    table.add_column("coverage (%)", justify="right", no_wrap=True)
    for name in comparison.by_search:
        cells = [
            _pair(_mean(comparison, "kendall_tau", name, size), _mean(comparison, "elite_kendall_tau", name, size), 3)
            for size in comparison.sizes
        ]
        seconds = _mean(comparison, "fit_seconds", name, largest)
        covered = [_mean(comparison, f"coverage_{percent}", name, largest) for percent in (50, 90)]
        percents = [None if part is None else 100 * part for part in covered]
        if searched:
            gap = _mean(comparison, FOUND_GAP, name, largest)
            cells.append("-" if gap is None else f"{gap:+.1f}")
        table.add_row(name, *cells, "-" if seconds is None else f"{seconds:.3g}", _pair(percents[0], percents[1], 0))
    return table


def _mean(comparison: Comparison, column: str, predictor: str, size: int) -> float | None:
    values = comparison.values(column, predictor, size)
    return float(values.mean()) if len(values) else None


def _pair(first: float | None, second: float | None, digits: int) -> str:
    if first is None and second is None:
        return "-"
    return "/".join("-" if value is None else f"{value:.{digits}f}" for value in (first, second))
