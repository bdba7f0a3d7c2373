"""A validated population as a table in a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from omsdpm.plugins import Named
from studies.jobs.validate.result import ScoredSchedule, ValidateResult
from studies.records.scores import with_error


def validation_table(result: ValidateResult) -> Table:
    """The first round, lowest score first, and the second round's scores of the best."""
    table = Table()
    names = [Named.parse(metric).name for metric in result.metrics]
    counts = [result.settings.num_images, *([result.best.images] if result.sampled_again else [])]
    for title in ("row", "latency\n(ms)", "NFE", *(f"{name}\n{n} images" for n in counts for name in names)):
        table.add_column(title, justify="right")
    for scored in result.order:
        best = scored.row == result.best.row
        ms = "-" if scored.latency_ms is None else f"{scored.latency_ms:.2f}"
        cells = [str(scored.row), ms, str(scored.nfe), *_cells(scored, result.metric)]
        if result.sampled_again:
            cells += _cells(result.best, result.metric) if best else [""] * len(names)
        table.add_row(*[Text(cell, style="bold" if best else "") for cell in cells])
    return table


def _cells(scored: ScoredSchedule, metric: str) -> list[str]:
    return [with_error(score.score, score.error, ".4f") for score in scored.scores(metric)]


def validation_caption(result: ValidateResult) -> str:
    """How the scores were made."""
    settings, fixed = result.settings, result.settings.noise is not None
    noise = "the given noise" if fixed else f"noise of seed {settings.seed}"
    caption = f"Round 1: {settings.num_images} images each, {noise}. Lower is better; ± one standard error."
    if result.sampled_again:
        noise = "the given noise again" if fixed else f"fresh noise, seed {result.best.seed}"
        caption += f" Again: the best, {result.best.images} images, {noise}."
    return f"{caption} Shared beginnings left {result.evaluations} of {result.one_by_one} evaluations to do."
