"""Winners against baselines as a table in a terminal."""

from __future__ import annotations

import numpy as np
from rich.table import Table

from studies.jobs.confirm.result import ConfirmResult


def confirm_table(result: ConfirmResult) -> Table:
    """A row a budget; the lead is the paired difference with its 95 % interval."""
    first, last = result.seeds[0], result.seeds[-1]
    caption = (
        f"{result.metric}: mean of {result.images} images x {len(result.seeds)} seeds ({first} to {last}), the same "
        "noise for both. Lower is better. The lead is the mean paired difference with its 95 % interval."
    )
    title = f"{result.benchmark}: winners on other seeds"
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    for number, column in enumerate(("budget (ms)", "winner", "best baseline", "gain", "seeds won", "lead", "")):
        table.add_column(column, justify="left" if number == 6 else "right")
    for duel in result.duels:
        paired = duel.paired
        lead, margin = paired.lead
        table.add_row(
            f"{duel.budget:g}", f"{np.mean(duel.winner_scores):.3f}", f"{np.mean(duel.baseline_scores):.3f}",
            "-" if paired.gain is None else f"{paired.gain:+.0f} %",
            f"{paired.won} of {len(result.seeds)}", f"{lead:+.3f} ± {margin:.3f}", paired.verdict,
        )  # fmt: skip
    return table
