"""The card of a benchmark: on the terminal, and as ``CARD.md`` beside its data."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.bias import bias_at, read_bias
from omsdpm.dataset import SPLITS
from omsdpm.files import replacing
from omsdpm.zoo.files import card_facts

if TYPE_CHECKING:
    from benchmarks import Baseline, Benchmark


CARD_FILE = "CARD.md"
VERSIONS = ("omsdpm", "torch", "diffusers", "numpy", "scikit-learn")
"""Packages whose versions a card tells."""


def card_table(benchmark: Benchmark) -> Table:
    """Facts of a benchmark, one a row."""
    table = Table(
        title=f"{benchmark.name}: {benchmark.summary}", title_justify="left", show_header=False, title_style="bold"
    )
    for key, value in _facts(benchmark):
        table.add_row(key, value)
    return table


def write_card(benchmark: Benchmark) -> Path:
    """Writes ``CARD.md`` into the benchmark's folder: its facts, how they were measured, and with which versions."""
    lines = [f"# {benchmark.name}", "", benchmark.summary, ""]
    command = f"omsdpm-bench dataset build {benchmark.folder.name}"
    lines += [f"Data and card are made by `{command}` in the folder above, from `benchmark.toml`;"]
    lines += ["every number below is read off the files beside it.", ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in _facts(benchmark)]
    lines += ["", "## How it was measured", "", *_rounds(benchmark)]
    if benchmark.choices:
        lines += ["", "## What strategies choose", "", *_choices(benchmark)]
    notes = str(benchmark.table.get("notes", "")).strip()
    if notes:
        lines += ["", "## Why these designs", "", notes]
    made = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    lines += ["", "## Made with", ""]
    lines += [f"Python {platform.python_version()}, {made}; card of {datetime.date.today().isoformat()}."]
    path = benchmark.folder / CARD_FILE
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _rounds(benchmark: Benchmark) -> Iterator[str]:
    """A table of the dataset's rounds: what they hold and what they cost."""
    dataset = benchmark.dataset
    latency = benchmark.space.latency(dataset.X, benchmark.latency)
    yield "| round | split | schedules | score quartiles | latency quartiles (ms) | evaluations | alone | seconds |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, cost in dataset.extra["rounds"].items():
        rows = dataset.design == name
        splits = ", ".join(sorted({split or "-" for split in dataset.split[rows].tolist()}))
        yield (
            f"| {name} | {splits} | {rows.sum():,} | {_quartiles(dataset.y[rows])} | {_quartiles(latency[rows])} "
            f"| {cost['evaluations']:,} | {cost['one_by_one']:,} | {cost['seconds']:,.0f} |"
        )
    costs = dataset.extra["rounds"].values()
    spent, alone = (sum(cost[key] for cost in costs) for key in ("evaluations", "one_by_one"))
    yield ""
    yield (
        f"Sharing the beginnings of plans took {spent:,} network evaluations instead of {alone:,}: "
        f"{alone / spent:.2f} times fewer. Seconds are those of the workers, summed, one thread each."
    )


def _choices(benchmark: Benchmark) -> Iterator[str]:
    """A table of what each strategy reaches under each budget, and with how many labels."""
    images, seeds = benchmark.validation
    yield (
        f"Each starts from nothing under each budget, chooses by labels of {benchmark.measurement.images} images, and "
        f"its choice is validated like the baselines ({images} images x {len(seeds)} seeds, mean). In brackets the "
        "labels that it measures, which count for each as if it were alone."
    )
    yield ""
    yield f"| strategy | {' | '.join(f'{budget:g} ms' for budget in benchmark.budgets)} |"
    yield f"|---|{'---|' * len(benchmark.budgets)}"
    reasons: dict[str, list[str]] = {}
    for strategy in sorted({choice.strategy for choice in benchmark.choices}):
        cells = []
        for budget in benchmark.budgets:
            choice = next((c for c in benchmark.choices if (c.strategy, c.budget) == (strategy, budget)), None)
            if choice is None or choice.scores is None:
                reasons.setdefault("not asked" if choice is None else str(choice.reason), []).append(strategy)
                cells.append("-")
            else:
                cells.append(f"{np.mean(choice.scores):.4g} ({choice.labels:,})")
        yield f"| `{strategy}` | {' | '.join(cells)} |"
    for reason, strategies in reasons.items():
        yield ""
        yield f"{', '.join(f'`{name}`' for name in dict.fromkeys(strategies))}: {reason}."


def _quartiles(values: NDArray[np.float64]) -> str:
    return " / ".join(f"{value:.3g}" for value in np.quantile(values, (0.25, 0.5, 0.75)))


def _noise_facts(benchmark: Benchmark) -> Iterator[tuple[str, str]]:
    """How much of a difference is noise: the same schedules from two sets of starting noise."""
    from scipy.stats import kendalltau, spearmanr

    repeat = benchmark.repeat
    if repeat is None:
        return
    first = benchmark.stored_scores(repeat.X)
    tau, rho = kendalltau(first, repeat.y).statistic, spearmanr(first, repeat.y).statistic
    relative = np.log(repeat.y / first)
    yield "independent noise", f"{len(repeat)} schedules again: Kendall tau {tau:.3f}, Spearman {rho:.3f}"
    yield (
        "",
        f"a score differs by {np.std(repeat.y - first, ddof=1) / np.sqrt(2):.3g} (standard deviation of one "
        f"measurement), in relative terms {np.std(relative, ddof=1) / np.sqrt(2):.1%}",
    )


def _bias_facts(benchmark: Benchmark) -> Iterator[tuple[str, str]]:
    """How much too large scores are, as their images are few; of the validation too, whose images are more."""
    rows = read_bias(benchmark)
    if not rows:
        return
    images, _ = benchmark.validation
    title = "bias of few images"
    for n, what in ((benchmark.measurement.images, "the dataset"), (images, "a validation")):
        at = bias_at(rows, n)
        best, low, high = at[0], min(row.excess for row in at), max(row.excess for row in at)
        share = best.excess / best.score
        yield title, f"{n:,} images ({what}): scores are {low:.2g} to {high:.2g} too high, {share:.0%} of the best's"
        title = ""
    limit = f"{best.limit:.3g} ± {best.limit_error:.1g}"
    yield "", f"of {len(at)} schedules against the limit by fd-inf, which is {limit} of the best"


def _facts(benchmark: Benchmark) -> Iterator[tuple[str, str]]:
    space, dataset, card = benchmark.space, benchmark.dataset, benchmark.latency_card
    yield "solver", space.solver
    yield "slots, members", f"{space.length}, {space.num_models}"
    yield "schedules", f"{space.cardinality:,}" if space.cardinality < 10**7 else f"{space.cardinality:.3g}"
    yield "frozen latency", ", ".join(f"{ms:.4g}" for ms in benchmark.latency) + " ms a member"
    batch, device, date = card_facts(card)
    yield "", f"{batch} on {device}, {date}"
    yield "budgets", ", ".join(f"{ms:g}" for ms in benchmark.budgets) + " ms"
    if (labels := benchmark.measurement.labels) is not None:
        yield (
            "labels of the images",
            f"{', '.join(map(str, labels))}, in turn" if isinstance(labels, tuple) else f"{labels}",
        )
    yield "metric", f"{benchmark.metric} (lower is better)"
    splits = [f"{name or 'other'} {int((dataset.split == name).sum())}" for name in (*SPLITS, "")]
    yield "measured schedules", f"{len(dataset):,}"
    yield "", ", ".join(entry for entry in splits if not entry.endswith(" 0"))
    if len(dataset):
        low, median, high = np.quantile(dataset.y, (0.0, 0.5, 1.0))
        yield f"{benchmark.metric} of them", f"{low:.4g} to {high:.4g}, median {median:.4g}"
        latency = space.latency(dataset.X, benchmark.latency)
        yield "latency of them", f"{latency.min():.4g} to {latency.max():.4g} ms"
        best = int(dataset.y.argmin())
        members = " ".join("·" if member == 0 else str(member) for member in dataset.X[best].tolist())
        yield "best of them", f"{dataset.y[best]:.4g} at {latency[best]:.4g} ms: {members}"
    yield "noise of the dataset", f"{benchmark.measurement.images} images, seed {benchmark.measurement.seed}"
    yield from _noise_facts(benchmark)
    yield from _bias_facts(benchmark)
    images, seeds = benchmark.validation
    yield "validation", f"{images} images x {len(seeds)} seeds"
    for budget in benchmark.budgets:
        top = benchmark.best_baseline(budget)
        if top is not None:
            yield f"best baseline to {budget:g} ms", _baseline(top)
    if (report := benchmark.report) is not None:
        first, last = report.seeds[0], report.seeds[-1]
        yield "their scores for reports", f"{report.images} images, {len(report.seeds)} seeds ({first} to {last})"
    yield "data hash", benchmark.data_hash


def _baseline(baseline: Baseline) -> str:
    labels = "" if baseline.labels is None else f", {baseline.labels:,} labels"
    return f"{baseline.mean:.4g} ± {baseline.std:.2g} at {baseline.latency:.4g} ms ({baseline.name}{labels})"
