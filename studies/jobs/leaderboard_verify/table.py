"""Verified rows as a table in a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from studies.jobs.leaderboard_verify.result import VerifyResult


def verify_table(result: VerifyResult) -> Table:
    """A row each."""
    table = Table()
    for number, title in enumerate(("row", "benchmark", "budget\n(ms)", "entry", "seed", "score", "again", "")):
        table.add_column(title, justify="right" if number in (2, 4, 5, 6) else "left", overflow="fold")
    for row in result.checked:
        again = "-" if row.again is None else f"{row.again:.6g}"
        words = "holds" if row.holds else row.why
        table.add_row(
            Text(row.place.rpartition("row ")[2]), Text(row.benchmark), f"{row.budget:g}",
            Text(f"{row.optimizer} on {row.predictor}"), str(row.validation_seed), f"{row.score:.6g}", again,
            Text(words, style="green" if row.holds else "red"),
        )  # fmt: skip
    return table


def verify_line(result: VerifyResult) -> str:
    """How many hold, and what was not drawn."""
    held = sum(row.holds for row in result.checked)
    line = f"{held} of {len(result.checked)} rows hold, drawn from {result.rows}"
    left = [f"{count} could not be drawn: {why}" for why, count in result.left_out.items()]
    return "; ".join([line, *left])
