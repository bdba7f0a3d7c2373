"""Ranked leaderboards as tables in a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.table import Table
from rich.text import Text

from studies.jobs.leaderboard.result import SHOWN, STANDINGS, LeaderboardResult
from studies.records.columns import Columns

STYLES = {"better": "green", "worse": "red"}


def leaderboard_tables(result: LeaderboardResult) -> list[Table]:
    """The methods if there are several, and a table a benchmark."""
    tables = []
    for (benchmark, metric), entries in result.of():
        images = " or ".join(str(count) for count in sorted({entry.images for entry in entries}))
        caption = f"{metric}: means over the validation seeds, {images} images each. Lower is better. "
        caption += "Gains are paired differences to the best baseline with their 95 % interval."
        if any(entry.by == "score" for entry in entries):
            caption += " Where scores of the baseline are lacking, entries are ranked by score."
        if any(entry.other_data for entry in entries):
            caption += " Entries of other data than the benchmark's are ranked apart."
        tables.append(_table(f"{benchmark}, by budget", caption, SHOWN, entries))
    if len(result.standings) > 1:
        caption = "Ranks are means over budgets and runs; methods of other budgets are not on a par."
        tables.append(_table("Methods over all budgets", caption, STANDINGS, result.standings))
    return tables


def _table(title: str, caption: str, columns: Columns[Any], things: Iterable[Any]) -> Table:
    table = Table(title=Text(title), title_justify="left", caption=Text(caption), caption_justify="left")
    for column in columns:
        table.add_column(Text(column.name), justify="right" if column.kind == "number" else "left", overflow="fold")
    for thing in things:
        style = STYLES.get(getattr(thing, "verdict", ""), "")
        cells = [Text(str(value)) for value in columns.row(thing).values()]
        for cell in cells[-2:]:
            cell.stylize(style)
        table.add_row(*cells)
    return table
