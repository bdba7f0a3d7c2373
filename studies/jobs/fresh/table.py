"""How well predictors rank on other noise, as a table in a terminal."""

from __future__ import annotations

from rich.table import Column, Table

from studies.jobs.fresh.result import FreshResult


def fresh_table(result: FreshResult) -> Table:
    """A row for each predictor, and one for the first measurement."""
    table = Table(Column("predictor", no_wrap=True), "labels' noise", "good ones", "other noise", "good ones")
    for row in result.rows:
        taus = (row.labels, row.labels_good, row.fresh, row.fresh_good)
        name = f"{row.name} (constant)" if row.constant else row.name
        table.add_row(name, *("" if tau is None else f"{tau:.3f}" for tau in taus))
    table.title = f"{result.benchmark}: {result.schedules} schedules measured again, {result.settings.seeds} seeds"
    table.caption = "Kendall's tau of what was measured from the labels' noise, and from other noise."
    return table
