"""What a dataset will cost, as a table in a terminal."""

from __future__ import annotations

from rich.table import Table

from studies.jobs.estimate.result import EstimateResult


def estimate_table(result: EstimateResult) -> Table:
    """A row a round, and one for all."""
    caption = f"{result.images} images a schedule; times for {result.device}, {result.threads} threads"
    caption += "" if result.total.scoring is None else "; scoring as it is on this machine's CPU"
    table = Table(caption=caption, caption_justify="left")
    for column in ("round", "schedules", "evaluations, one by one", "shared", "time, one by one", "shared", "scoring"):
        table.add_column(column, justify="left" if column == "round" else "right")
    for cost in (*result.rounds, result.total):
        table.add_row(
            cost.name, f"{cost.schedules:,}", f"{cost.one_by_one:,}", f"{cost.evaluations:,}",
            duration(cost.seconds_one_by_one), duration(cost.seconds),
            "-" if cost.scoring is None else duration(cost.scoring),
        )  # fmt: skip
    return table


def duration(seconds: float) -> str:
    """A time in words: ``90 s``, ``5 min``, ``3.4 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"
