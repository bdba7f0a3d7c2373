"""What ranking leaderboards brought."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from omsdpm.files import replacing
from studies.jobs.leaderboard.settings import LeaderboardSettings
from studies.paired import Paired
from studies.records.columns import Column, Columns
from studies.records.result import Record, Result
from studies.records.tables import compact, write_csv

OTHER_DATA = "other data"


class Method(Record):
    """How a schedule was found, as its leaderboard says it; what it does not say is empty."""

    optimizer: str
    predictor: str
    train_size: str
    evaluations: str
    kappa: str

    @property
    def text(self) -> str:
        """In a few words: ``nsga2 on gp, 800 labels``."""
        labels = f", {self.train_size} labels" if self.train_size else ""
        return f"{self.optimizer} on {self.predictor}{labels}"


class BoardEntry(Record):
    """One run's best schedule under one budget.

    Attributes:
        run_seed, when: which run.
        budget, latency: ms, the latter ``None`` where the leaderboard does not say it.
        images: of each score.
        seeds: of the noise, with a score each.
        baseline_scores: of the best baseline on these seeds, ``None`` where one is lacking.
        other_data: made with other data than the benchmark's.
        by: what the entries under this budget are ranked by, ``gain`` or ``score``.
        rank: among those of the same data, from 1; equal ones share their mean rank.
    """

    benchmark: str
    data_hash: str
    metric: str
    budget: float
    method: Method
    run_seed: str
    when: str
    schedule: tuple[int, ...]
    latency: float | None
    images: int
    seeds: tuple[int, ...]
    scores: tuple[float, ...]
    baseline: str
    baseline_scores: tuple[float, ...] | None
    other_data: bool = False
    by: str = "gain"
    rank: float = 0.0

    @property
    def mean(self) -> float:
        """Mean score over the seeds; ``inf`` where one is no number, which is worse than any."""
        return float(np.mean(self.scores)) if np.isfinite(self.scores).all() else float("inf")

    @property
    def paired(self) -> Paired | None:
        """Against the baseline; ``None`` without its scores, or where one of the scores is no number."""
        theirs = self.baseline_scores
        if theirs is None or not np.isfinite([*self.scores, *theirs]).all():
            return None
        return Paired(self.scores, theirs)

    @property
    def gain(self) -> float | None:
        """How much lower than the baseline's the mean score is, in percent."""
        return None if self.paired is None else self.paired.gain

    @property
    def gain_margin(self) -> float | None:
        """Half the 95 % interval of the gain; ``None`` for one seed."""
        return None if self.paired is None else self.paired.gain_margin

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``inconclusive``; empty without a baseline."""
        return "" if self.paired is None else self.paired.verdict


class Standing(Record):
    """A method over all benchmarks and budgets, of the benchmarks' own data.

    Attributes:
        mean_rank: over its runs and the budgets that it has entries under.
        cells: under how many budgets it has entries, of ``of``. Only methods with as many are on a par.
        runs: run seeds.
        better, inconclusive, worse: how many entries are, against the best baseline.
    """

    method: Method
    mean_rank: float
    cells: int
    of: int
    runs: int
    better: int
    inconclusive: int
    worse: int


class LeaderboardResult(Result):
    """Entries by benchmark, budget and rank; and what each method has over all of them.

    Attributes:
        rows, duplicates: read, and left out because they were there already.
        entries: those of a benchmark's own data first.
        standings: best mean rank first.
    """

    KIND: ClassVar[str] = "leaderboard"

    settings: LeaderboardSettings
    rows: int
    duplicates: int
    entries: tuple[BoardEntry, ...]
    standings: tuple[Standing, ...]

    def of(self) -> Iterator[tuple[tuple[str, str], list[BoardEntry]]]:
        """Entries by benchmark and metric."""
        for key in dict.fromkeys((entry.benchmark, entry.metric) for entry in self.entries):
            yield key, [entry for entry in self.entries if (entry.benchmark, entry.metric) == key]

    def write_csv(self, path: Path) -> None:
        """One row an entry."""
        rows = (RANKS.row(entry).values() for entry in self.entries)
        write_csv(path, RANKS.names, ([*row] for row in rows))

    def write_markdown(self, path: Path) -> None:
        """A table a benchmark, and one of the methods."""
        with replacing(path) as temporary:
            temporary.write_text("\n".join(self._markdown()) + "\n", encoding="utf-8")

    def _markdown(self) -> Iterator[str]:
        if len(self.standings) > 1:
            yield from ["## Methods", ""]
            yield from _table(STANDINGS, self.standings)
        for (benchmark, metric), entries in self.of():
            yield from [f"## {_plain(benchmark)} ({_plain(metric)})", ""]
            yield from _table(SHOWN, entries)


def gain_text(entry: BoardEntry) -> str:
    """``+12.3 ± 1.4``."""
    if entry.gain is None:
        return "-"
    return f"{entry.gain:+.1f}" + ("" if entry.gain_margin is None else f" ± {entry.gain_margin:.1f}")


RANKS: Columns[BoardEntry] = Columns(
    Column("benchmark", lambda entry: entry.benchmark),
    Column("metric", lambda entry: entry.metric),
    Column("budget_ms", lambda entry: f"{entry.budget:.12g}", "number"),
    Column("rank", lambda entry: f"{entry.rank:g}", "number"),
    Column("ranked_by", lambda entry: entry.by),
    Column("optimizer", lambda entry: entry.method.optimizer),
    Column("predictor", lambda entry: entry.method.predictor),
    Column("train_size", lambda entry: entry.method.train_size),
    Column("evaluations", lambda entry: entry.method.evaluations),
    Column("kappa", lambda entry: entry.method.kappa),
    Column("run_seed", lambda entry: entry.run_seed),
    Column("gain_percent", lambda entry: None if entry.gain is None else f"{entry.gain:.6g}", "number"),
    Column("gain_margin", lambda entry: None if entry.gain_margin is None else f"{entry.gain_margin:.6g}", "number"),
    Column("verdict", lambda entry: entry.verdict),
    Column("score_mean", lambda entry: f"{entry.mean:.8g}", "number"),
    Column("baseline", lambda entry: entry.baseline),
    Column("baseline_mean", lambda entry: _mean(entry.baseline_scores), "number"),
    Column("validation_seeds", lambda entry: len(entry.seeds), "number"),
    Column("images", lambda entry: entry.images, "number"),
    Column("latency_frozen_ms", lambda entry: None if entry.latency is None else f"{entry.latency:.6g}", "number"),
    Column("schedule", lambda entry: compact(entry.schedule)),
    Column("data_hash", lambda entry: entry.data_hash),
    Column("mark", lambda entry: OTHER_DATA if entry.other_data else ""),
    Column("when", lambda entry: entry.when),
)
"""The columns of ``--csv``."""

SHOWN: Columns[BoardEntry] = Columns(
    Column("budget (ms)", lambda entry: f"{entry.budget:g}", "number"),
    Column("rank", lambda entry: f"{entry.rank:g}", "number"),
    Column("optimizer", lambda entry: entry.method.optimizer),
    Column("predictor", lambda entry: entry.method.predictor),
    Column("labels", lambda entry: entry.method.train_size, "number"),
    Column("run seed", lambda entry: entry.run_seed, "number"),
    Column("score", lambda entry: f"{entry.mean:.3f}", "number"),
    Column("baseline", lambda entry: _mean(entry.baseline_scores, ".3f"), "number"),
    Column("gain (%), 95 %", gain_text, "number"),
    Column("", lambda entry: ", ".join(filter(None, (entry.verdict, OTHER_DATA if entry.other_data else "")))),
)
"""The columns that a person reads."""

STANDINGS: Columns[Standing] = Columns(
    Column("optimizer", lambda standing: standing.method.optimizer),
    Column("predictor", lambda standing: standing.method.predictor),
    Column("labels", lambda standing: standing.method.train_size, "number"),
    Column("mean rank", lambda standing: f"{standing.mean_rank:.2f}", "number"),
    Column("budgets", lambda standing: f"{standing.cells} of {standing.of}", "number"),
    Column("runs", lambda standing: standing.runs, "number"),
    Column("better", lambda standing: standing.better, "number"),
    Column("inconclusive", lambda standing: standing.inconclusive, "number"),
    Column("worse", lambda standing: standing.worse, "number"),
)


def _mean(scores: tuple[float, ...] | None, spec: str = ".8g") -> str | None:
    return None if scores is None else f"{np.mean(scores):{spec}}"


def _table(columns: Columns[Any], things: Any) -> Iterator[str]:
    yield "| " + " | ".join(columns.names) + " |"
    yield "|" + "|".join("---:" if column.kind == "number" else "---" for column in columns) + "|"
    for thing in things:
        yield "| " + " | ".join(_plain(str(value)) for value in columns.row(thing).values()) + " |"
    yield ""


def _plain(text: str) -> str:
    """Text that Markdown takes as it is, in one cell."""
    text = " ".join(text.split())
    for sign, instead in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\\", "\\\\"), ("|", "\\|"), ("`", "\\`")):
        text = text.replace(sign, instead)
    for sign in "[]*_":
        text = text.replace(sign, f"\\{sign}")
    return text
