"""What a dataset will cost, as a table in a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.table import Table

from studies.jobs.estimate.result import EstimateResult, RoundCost
from studies.records.progress import duration

if TYPE_CHECKING:
    from studies.jobs.estimate.search import SearchEstimate


def estimate_table(result: EstimateResult) -> Table:
    """A row a round, and one for all."""
    caption = f"{result.images} images a schedule; times for {result.device}, {result.threads} threads"
    caption += "" if result.total.scoring is None else "; scoring as it is on this machine's CPU"
    return _costs("round", (*result.rounds, result.total), caption)


def search_estimate_table(result: SearchEstimate) -> Table:
    """A row a part of the search, and one for all."""
    caption = f"times of sampling for {result.device}, {result.threads} threads"
    caption += "" if result.total.scoring is None else "; scoring, fits and searches as they are on this machine's CPU"
    return _costs("part", (*result.parts, result.total), caption)


def _costs(first: str, costs: Iterable[RoundCost], caption: str) -> Table:
    table = Table(caption=caption, caption_justify="left")
    for column in (first, "schedules", "evaluations, one by one", "shared", "time, one by one", "shared", "scoring"):
        table.add_column(column, justify="left" if column == first else "right")
    for cost in costs:
        table.add_row(
            cost.name, f"{cost.schedules:,}", f"{cost.one_by_one:,}", f"{cost.evaluations:,}",
            duration(cost.seconds_one_by_one), duration(cost.seconds),
            "-" if cost.scoring is None else duration(cost.scoring),
        )  # fmt: skip
    return table


def estimate_lines(result: EstimateResult) -> str:
    """All together, in words."""
    loading = "" if result.loading is None else f", {duration(result.loading)} of it to load"
    return f"One process takes about {duration(result.seconds)}{loading}."


def search_estimate_lines(result: SearchEstimate) -> str:
    """All together, in words."""
    loading = "" if result.loading is None else f"{duration(result.loading)} to load, "
    return (
        f"The search takes about {duration(result.seconds)}: {duration(result.total.seconds)} to sample, "
        f"{duration(result.total.scoring or 0.0)} to score, {loading}{duration(result.thinking)} for fits and searches."
    )
