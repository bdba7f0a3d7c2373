"""Letting strategies choose on a benchmark: the labels that they ask for are measured and kept, choices validated."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.building import Progress, scores_on_seeds
from benchmarks.choices import CHOICES_FILE, LABELS_FILE, Choice, read_choices, wanted_strategies, write_choices
from benchmarks.comparison import StrategyResult, compare_strategies
from benchmarks.problem import Benchmark
from benchmarks.stored import BASELINES_FILE, read_baselines
from benchmarks.strategies.registry import make_strategy
from omsdpm.dataset.build import MergedElsewhereError, Pool, Workers, measure_sharded
from omsdpm.dataset.labels import LabelStore
from omsdpm.dataset.shards import scores_of
from omsdpm.dataset.workfolder import own_folder, put_away
from omsdpm.files import locked
from omsdpm.scoring.identity import check_measured, identity, remember_measured, validation_identity
from omsdpm.solvers import Schedules

SEED = 0
"""Of strategies that draw at random."""

LABELS, CHOICES = "labels", "strategies"
"""What shards are of: the first words of their folders' names."""

DESIGN = "strategies"
"""What the labels' rows say they are from."""


def strategies_of(benchmark: Benchmark) -> list[str]:
    """The strategies whose choices a benchmark has: those that its file names, or all that are installed.

    Raises:
        InputError: an unknown one, or a parameter that it does not have.
    """
    names = wanted_strategies(benchmark.table.get("strategies"))
    for name in names:
        make_strategy(name)
    return names


def build_choices(
    benchmark: Benchmark, workers: Workers, *, shard_size: int = 30, progress: Progress | None = None
) -> list[Choice]:
    """Lets each strategy choose under each budget that it has not chosen under yet; resumable.

    A strategy is asked once a budget and starts from nothing: the labels that it asks for count for it, though
    none is measured twice, and none that the dataset holds. Of what it proposes the best label is
    its choice, which is validated as the baselines are. What other strategies chose before stays.

    Args:
        benchmark: with dataset and baselines.
        workers: where schedules are sampled.
        shard_size: schedules a shard.
        progress: told ``(what, done, total)``.

    Raises:
        InputError: an unknown strategy, one that proposes what is no schedule, or the folder has labels or
            choices of another measurement.
    """
    path = benchmark.folder / CHOICES_FILE
    images, seeds = benchmark.validation
    measured_with = validation_identity(benchmark.measurement, images, seeds)
    before = read_choices(path, benchmark.space) if path.exists() else []
    if path.exists():
        check_measured(benchmark.folder, path.stem, measured_with)
    wanted = {(name, budget) for name in strategies_of(benchmark) for budget in benchmark.budgets}
    if not (lacking := wanted - _asked(before)):
        _clear(benchmark)  # of a build that was killed at their end
        return before
    with workers.open() as pool:
        asked = AskedLabels(benchmark, pool, shard_size, progress)
        names = [name for name in strategies_of(benchmark) if name in {strategy for strategy, _ in lacking}]
        budgets = [budget for budget in benchmark.budgets if budget in {one for _, one in lacking}]
        rows = compare_strategies(benchmark, budgets, names, SEED, measure=asked)

    def merged() -> bool:
        return path.exists() and lacking <= _asked(read_choices(path, benchmark.space))

    scores = _validated(benchmark, rows, workers, merged, shard_size, progress)
    if scores is None:
        return read_choices(path, benchmark.space)
    remember_measured(benchmark.folder, path.stem, measured_with)
    with locked(benchmark.folder / "build" / "merge.lock"):
        before = read_choices(path, benchmark.space) if path.exists() else []
        new = lacking - _asked(before)
        after = before + [_choice(row, scores, benchmark) for row in rows if (row.strategy, row.budget) in new]
        write_choices(path, after)
    _clear(benchmark)
    return after


def _work(benchmark: Benchmark, what: str, X: Schedules) -> Path:
    """The folder of the shards of these schedules: other strategies, asked after a kill, have another one."""
    return benchmark.folder / "build" / f"{what}-{zlib.crc32(np.ascontiguousarray(X).tobytes()):08x}"


def _clear(benchmark: Benchmark) -> None:
    """Removes the folders of shards, once nothing is lacking."""
    for what in (LABELS, CHOICES):
        for folder in (benchmark.folder / "build").glob(f"{what}-*"):
            put_away(folder)


def _asked(choices: list[Choice]) -> set[tuple[str, float]]:
    """The strategies and budgets that there is a row of."""
    return {(choice.strategy, choice.budget) for choice in choices}


def would_measure(benchmark: Benchmark) -> tuple[Schedules, Schedules]:
    """Schedules ``(n, L)`` that strategies would measure, and ``(m, L)`` that they would choose, each once.

    By made-up scores, which fall with the cost: what does not depend on scores is as it will be.
    """
    asked: list[NDArray[np.int64]] = []

    def made_up(X: Schedules) -> NDArray[np.float64]:
        asked.append(X)
        return 1.0 / benchmark.space.latency(X, benchmark.latency)

    rows = compare_strategies(benchmark, names=strategies_of(benchmark), seed=SEED, measure=made_up)
    empty = np.zeros((0, benchmark.space.length), dtype=np.int64)
    chosen = [row.schedule for row in rows if row.schedule is not None]
    labels = np.unique(np.concatenate([empty, *asked]), axis=0)
    return labels, np.unique(benchmark.space.canonical(np.array(chosen)), axis=0) if chosen else empty


@dataclass
class AskedLabels:
    """Scores of schedules ``(n, L) -> (n,)``: the dataset's, those measured before, and the rest measured and kept.

    Attributes:
        benchmark: whose dataset and folder they are.
        pool: where schedules are sampled.
        shard_size: schedules a shard.
        progress: told ``(what, done, total)``.
    """

    benchmark: Benchmark
    pool: Pool
    shard_size: int
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if (self.benchmark.folder / LABELS_FILE).exists():
            check_measured(self.benchmark.folder, Path(LABELS_FILE).stem, identity(self.benchmark.measurement))
        self._store = self._read()

    def __call__(self, X: Schedules) -> NDArray[np.float64]:
        """``(n, L) -> (n,)``."""
        scores = self._scores(X)
        lacking = np.isnan(scores)
        if lacking.any():
            self._measure(X[lacking])
            scores[lacking] = self._scores(X[lacking])
        return scores

    def _scores(self, X: Schedules) -> NDArray[np.float64]:
        """Those that are known, NaN for the others."""
        known, stored = self._store.scores(), self.benchmark.stored_scores(X)
        measured = [known.get(x.tobytes(), np.nan) for x in self.benchmark.space.canonical(X)]
        return np.where(np.isnan(stored), measured, stored)

    def _read(self) -> LabelStore:
        m = self.benchmark.measurement
        facts = {"images": m.images, "seed": m.seed}
        return LabelStore(self.benchmark.folder / LABELS_FILE, self.benchmark.space, self.benchmark.metric, facts)

    def _measure(self, X: Schedules) -> None:
        """Measures schedules in shards, and keeps their labels; resumable."""
        folder, measurement = self.benchmark.folder, self.benchmark.measurement
        X = X[self._store.new(X)]
        if not self._store.path.exists():
            remember_measured(folder, self._store.path.stem, identity(measurement))
        work = _work(self.benchmark, LABELS, X)
        own_folder(work)
        before = len(self._store)

        def tell(done: int) -> None:
            if self.progress is not None:
                self.progress("labels of strategies", before + done, before + len(X))

        def merged() -> bool:
            return not len(self._read().new(X))

        try:
            y = scores_of(measure_sharded(measurement, X, work, self.pool, self.shard_size, tell, merged))
        except MergedElsewhereError:
            self._store = self._read()
        else:
            with locked(folder / "build" / "merge.lock"):
                self._store = self._read()  # another build may have added others
                rows = self._store.new(X)
                if len(rows):
                    self._store.add(X[rows], y[rows], DESIGN, split="")
        put_away(work)


def _validated(
    benchmark: Benchmark,
    rows: list[StrategyResult],
    workers: Workers,
    merged: Callable[[], bool],
    shard_size: int,
    progress: Progress | None,
) -> dict[bytes, NDArray[np.float64]] | None:
    """Validated scores of all chosen schedules, by canonical form; ``None`` where another build has written them."""
    space, path = benchmark.space, benchmark.folder / BASELINES_FILE
    stored = read_baselines(path, space, benchmark.latency) if path.exists() else []
    scores = {space.canonical(one.schedule)[0].tobytes(): one.scores for one in stored}
    chosen = {_key(benchmark, row): row.schedule for row in rows if row.schedule is not None}
    new = [x for key, x in chosen.items() if key not in scores]
    if new:
        X = space.canonical(np.array(new))
        images, seeds = benchmark.validation
        work = _work(benchmark, CHOICES, X)
        fresh = scores_on_seeds(benchmark, X, images, seeds, workers, CHOICES, merged, work, shard_size, progress)
        if fresh is None:
            return None
        scores |= {x.tobytes(): y for x, y in zip(X, fresh, strict=True)}
    return scores


def _choice(row: StrategyResult, scores: dict[bytes, NDArray[np.float64]], benchmark: Benchmark) -> Choice:
    if row.schedule is None:
        return Choice(row.strategy, row.budget, row.labels, reason=row.reason)
    return Choice(row.strategy, row.budget, row.labels, row.name, row.schedule, row.score, scores[_key(benchmark, row)])


def _key(benchmark: Benchmark, row: StrategyResult) -> bytes:
    return benchmark.space.canonical(np.asarray(row.schedule))[0].tobytes()
