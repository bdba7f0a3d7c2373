"""The card of a benchmark as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from omsdpm.dataset import SPLITS

if TYPE_CHECKING:
    from benchmarks import Baseline, Benchmark


def card_table(benchmark: Benchmark) -> Table:
    """Facts of a benchmark, one a row."""
    table = Table(
        title=f"{benchmark.name}: {benchmark.summary}", title_justify="left", show_header=False, title_style="bold"
    )
    for key, value in _facts(benchmark):
        table.add_row(key, value)
    return table


def _facts(benchmark: Benchmark) -> Iterator[tuple[str, str]]:
    space, dataset, card = benchmark.space, benchmark.dataset, benchmark.latency_card
    yield "solver", space.solver
    yield "slots, members", f"{space.length}, {space.num_models}"
    yield "schedules", f"{space.cardinality:,}" if space.cardinality < 10**7 else f"{space.cardinality:.3g}"
    yield "frozen latency", ", ".join(f"{ms:.4g}" for ms in benchmark.latency) + " ms a member"
    yield "", f"batch of {card['batch_size']} on {card['device']}, {card['date']}"
    yield "budgets", ", ".join(f"{ms:g}" for ms in benchmark.budgets) + " ms"
    yield "metric", f"{benchmark.metric} (lower is better)"
    splits = [f"{name or 'other'} {int((dataset.split == name).sum())}" for name in (*SPLITS, "")]
    yield "measured schedules", f"{len(dataset):,}"
    yield "", ", ".join(entry for entry in splits if not entry.endswith(" 0"))
    if len(dataset):
        low, median, high = np.quantile(dataset.y, (0.0, 0.5, 1.0))
        yield f"{benchmark.metric} of them", f"{low:.4g} to {high:.4g}, median {median:.4g}"
        latency = space.latency(dataset.X, list(benchmark.latency))
        yield "latency of them", f"{latency.min():.4g} to {latency.max():.4g} ms"
        best = int(dataset.y.argmin())
        members = " ".join("·" if member == 0 else str(member) for member in dataset.X[best].tolist())
        yield "best of them", f"{dataset.y[best]:.4g} at {latency[best]:.4g} ms: {members}"
    images, seeds = benchmark.validation
    yield "validation", f"{images} images x {len(seeds)} seeds"
    for budget in benchmark.budgets:
        within = [baseline for baseline in benchmark.baselines if baseline.latency <= budget]
        if within:
            yield f"best baseline to {budget:g} ms", _baseline(min(within, key=lambda baseline: baseline.mean))
    yield "data hash", benchmark.data_hash


def _baseline(baseline: Baseline) -> str:
    return f"{baseline.mean:.4g} ± {baseline.std:.2g} at {baseline.latency:.4g} ms ({baseline.name})"
