"""What the labels of each design are worth, as a table in a terminal."""

from __future__ import annotations

import numpy as np
from rich.table import Table

from studies.jobs.designs.result import DesignsResult


def designs_table(result: DesignsResult) -> Table:
    """A row a design; mean and standard deviation over the seeds."""
    settings = result.settings
    caption = f"{result.predictor} on {settings.evaluations:,} network evaluations, {settings.seeds} seeds"
    table = Table("design", "schedules", "tau on test", "tau on elite", title=result.benchmark, caption=caption)
    for row in result.rows:
        table.add_row(row.design, str(row.schedules), _mean_std(row.test), _mean_std(row.elite))
    return table


def _mean_std(values: tuple[float, ...]) -> str:
    if len(values) < 2:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
