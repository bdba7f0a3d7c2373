"""``omsdpm-bench dataset estimate``."""

from __future__ import annotations

from pathlib import Path

import click

SAMPLE = 2000
"""Schedules of a larger round that are drawn and counted; the rest is in proportion."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--schedules", type=click.IntRange(min=1), help="Estimate for this many instead of the file's rounds.")
@click.option("--deadline", type=click.FloatRange(min=0, min_open=True), metavar="HOURS", help="Devices to meet it.")
@click.option("--shard-size", type=click.IntRange(min=1), default=50, show_default=True, help="Schedules a shard.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws that are counted.")
def estimate(folder: Path, schedules: int | None, deadline: float | None, shard_size: int, seed: int) -> None:
    """Say what building FOLDER/benchmark.toml costs, without sampling anything.

    Times are on one device like the one of the zoo's latency.toml. A round that refines
    what was measured is counted as if it drew at random in its window.
    """
    import numpy as np
    from rich.table import Table

    from omsdpm import ScheduleDataset
    from omsdpm.dataset.designs import Setting, draw
    from omsdpm.dataset.estimate import Estimate, total
    from omsdpm.dataset.estimate import estimate as count
    from omsdpm.dataset.recipe import Recipe
    from omsdpm.errors import InputError
    from studies.cli._console import stdout

    recipe = Recipe.read(folder)
    if not recipe.rounds:
        raise InputError(f"{folder}/benchmark.toml has no [[round]]: there is nothing to estimate")
    m = recipe.measurement
    empty = ScheduleDataset(m.space, np.empty((0, m.length), dtype=np.int64), np.empty(0))
    rows: list[tuple[str, Estimate]] = []
    for entry in recipe.rounds:
        design = "stratified" if entry.design == "refine" else entry.design
        n = m.space.cardinality if design == "exhaustive" else entry.n
        setting = Setting(m.space, m.latency, empty, entry.window, entry.options)
        X = draw(design, setting, min(n, SAMPLE), np.random.default_rng(seed))
        cost = count(X, m, shard_size)
        rows.append((entry.name, cost if len(X) == n else cost.scaled(n)))
    if schedules is not None:
        planned = sum(cost.schedules for _, cost in rows)
        rows = [(name, cost.scaled(round(cost.schedules * schedules / planned))) for name, cost in rows]
    rows.append(("all", total(cost for _, cost in rows)))
    card = m.latency_card
    caption = f"{m.images} images a schedule; times for {card['device']}, {card.get('threads', '?')} threads"
    table = Table(caption=caption, caption_justify="left")
    for column in ("round", "schedules", "evaluations, one by one", "shared", "time, one by one", "shared"):
        table.add_column(column, justify="left" if column == "round" else "right")
    for name, cost in rows:
        table.add_row(
            name, f"{cost.schedules:,}", f"{cost.one_by_one:,}", f"{cost.evaluations:,}",
            _duration(cost.seconds_one_by_one), _duration(cost.seconds),
        )  # fmt: skip
    stdout().print(table)
    if deadline is not None:
        devices = rows[-1][1].devices(3600 * deadline)
        stdout().print(f"To finish within {deadline:g} hours: {devices} such device{'s' * (devices > 1)}")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"
