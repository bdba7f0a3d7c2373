"""A converted dataset as a table in a terminal."""

from __future__ import annotations

from rich.table import Table

from studies.jobs.dataset_import.job import ImportResult


def import_table(result: ImportResult) -> Table:
    """What the dataset holds."""
    data, space = result.dataset, result.dataset.space
    nfe = space.nfe(data.X)
    table = Table(show_header=False)
    table.add_row("schedules", str(len(data)))
    table.add_row("solver", space.solver)
    table.add_row("length", f"{space.length} slots")
    table.add_row("members", str(space.num_models))
    table.add_row("evaluations", f"{nfe.min()} to {nfe.max()}")
    if result.latency is not None:
        ms = space.latency(data.X, result.latency)
        table.add_row("latency", f"{ms.min():.6g} to {ms.max():.6g} ms")
    table.add_row("score (FID)", f"{data.y.min():.6g} to {data.y.max():.6g}")
    table.add_row("refused", str(len(result.refused)))
    return table
