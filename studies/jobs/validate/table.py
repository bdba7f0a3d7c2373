"""A validated population as a table in a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from omsdpm.plugins import Named
from studies.jobs.validate.result import ValidateResult


def validation_table(result: ValidateResult) -> Table:
    """The first round, lowest score first, and the second round's score of the best."""
    metric, table = Named.parse(result.metric).name, Table()
    for title in ("row", "latency\n(ms)", "NFE", f"{metric}\n{result.settings.num_images} images"):
        table.add_column(title, justify="right")
    if result.sampled_again:
        table.add_column(f"{metric}\n{result.best.images} images", justify="right")
    for scored in result.order:
        best = scored.row == result.best.row
        ms = "-" if scored.latency_ms is None else f"{scored.latency_ms:.2f}"
        cells = [str(scored.row), ms, str(scored.nfe), f"{scored.score:.4f}"]
        if result.sampled_again:
            cells.append(f"{result.best.score:.4f}" if best else "")
        table.add_row(*[Text(cell, style="bold" if best else "") for cell in cells])
    return table


def validation_caption(result: ValidateResult) -> str:
    """How the scores were made."""
    settings, fixed = result.settings, result.settings.noise is not None
    noise = "the given noise" if fixed else f"noise of seed {settings.seed}"
    caption = f"Round 1: {settings.num_images} images each, {noise}. Lower is better."
    if result.sampled_again:
        noise = "the given noise again" if fixed else f"fresh noise, seed {result.best.seed}"
        caption += f" Again: the best, {result.best.images} images, {noise}."
    return f"{caption} Shared beginnings left {result.evaluations} of {result.one_by_one} evaluations to do."
