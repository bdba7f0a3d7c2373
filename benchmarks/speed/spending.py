"""Ways to spend labels under several budgets at once, on equal terms: which schedules each has measured, in order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.problem import Benchmark
from omsdpm.solvers import Schedules, ScheduleSpace
from studies import make_optimizer
from studies.active import ActiveSearch, LabelStore
from studies.jobs.run.search import PricedSpace, search
from studies.metrics import best_so_far

Array = NDArray[np.float64]

CHECKED = 0.4
"""Part of the labels of :func:`one_factor` that measure what its model predicts to be best."""

CANDIDATES = 2000
"""Schedules that a search on the additive model may score."""


@dataclass
class Ledger:
    """Measures schedules and keeps them in order; what was measured before is free.

    Attributes:
        benchmark: that measures.
        X: ``(L,)`` each.
        y: their scores.
    """

    benchmark: Benchmark
    X: list[NDArray[np.int64]] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    _known: dict[bytes, float] = field(default_factory=dict)

    def __call__(self, X: Schedules) -> Array:
        """``(n, L) -> (n,)``."""
        batch = self.benchmark.space.canonical(X)
        new = {x.tobytes(): x for x in batch if x.tobytes() not in self._known}
        if new:
            rows = np.array(list(new.values()))
            scores = self.benchmark.stored_scores(rows)
            unknown = np.isnan(scores)
            if unknown.any():
                scores[unknown] = self.benchmark.evaluate(rows[unknown])
            self._known.update(zip(new, scores.tolist(), strict=True))
            self.X += list(rows)
            self.y += scores.tolist()
        return np.array([self._known[x.tobytes()] for x in batch])

    predict = __call__
    """A ledger is what an optimizer searches on, who pays a label for each schedule."""

    def best(self, labels: int) -> list[float]:
        """The best of the first ``labels`` under each budget; ``inf`` where none fits."""
        latency = self.benchmark.space.latency(np.array(self.X[:labels]), list(self.benchmark.latency))
        return [float(best_so_far(self.y[:labels], latency, budget)[-1]) for budget in self.benchmark.budgets]


def active(benchmark: Benchmark, labels: int, seed: int) -> Ledger:
    """The active search, as ``omsdpm-bench search`` does it."""
    ledger = Ledger(benchmark)
    with tempfile.TemporaryDirectory() as folder:
        ActiveSearch(
            PricedSpace(benchmark.space, benchmark.latency),
            benchmark.budgets,
            make_optimizer("nsga2"),
            lambda seed: benchmark.predictor("gp", random_state=seed),
            ledger,
            seed=seed,
        ).run(LabelStore(Path(folder) / "labels.parquet", benchmark.space, benchmark.metric, {}), labels)
    return ledger


def on_scores(optimizer: str) -> Callable[[Benchmark, int, int], Ledger]:
    """An optimizer that is given measured scores, an equal share of the labels under each budget."""

    def spend(benchmark: Benchmark, labels: int, seed: int) -> Ledger:
        ledger = Ledger(benchmark)
        search(
            make_optimizer(optimizer), PricedSpace(benchmark.space, benchmark.latency), ledger,
            benchmark.budgets, evaluations=labels, seed=seed, progress=lambda done, total: None,
        )  # fmt: skip
        return ledger

    return spend


@dataclass(frozen=True)
class Additive:
    """Scores of schedules as the sum over slots of what each slot's member changes, on a logarithmic scale.

    Attributes:
        space: of the schedules.
        change: ``(L, M + 1)``, 0 for the base's own members and infinite where it was not measured.
    """

    space: ScheduleSpace
    change: Array

    def predict(self, X: Schedules) -> Array:
        """``(n, L) -> (n,)``, large where a change is not known."""
        X = self.space.check(X)
        total: Array = self.change[np.arange(X.shape[1]), X].sum(axis=1)
        return np.minimum(total, 1e3)


def one_factor(benchmark: Benchmark, labels: int, seed: int) -> Ledger:
    """One factor at a time: one member in all slots, then each slot alone with each other member, and left out.

    Changes of the logarithm of the score are taken to add up. Where labels do not suffice for all slots and members,
    as many are tried as a draw says. The last labels measure the schedules that are predicted best under each budget in
    turn. The member is the slowest of those that stay within the largest budget, or the fastest.
    """
    ledger, space, latency = Ledger(benchmark), benchmark.space, list(benchmark.latency)
    rng = np.random.default_rng(seed)
    whole = np.repeat(np.arange(1, space.num_models + 1)[:, None], space.length, axis=1)
    base = whole[max(0, int((space.latency(whole, latency) <= max(benchmark.budgets)).sum()) - 1)]
    design = labels - round(CHECKED * labels)
    change = np.full((space.length, space.num_models + 1), np.inf)
    change[np.arange(space.length), base] = 0.0
    slots, members = np.nonzero(np.isinf(change))
    chosen = rng.permutation(len(slots))[: design - 1]
    rows = np.repeat(base[None], len(chosen), axis=0)
    rows[np.arange(len(chosen)), slots[chosen]] = members[chosen]
    scores = np.log(ledger(np.concatenate([base[None], rows])))
    change[slots[chosen], members[chosen]] = scores[1:] - scores[0]
    pools = search(
        make_optimizer("nsga2"), PricedSpace(space, latency), Additive(space, change), benchmark.budgets,
        evaluations=CANDIDATES, seed=seed, progress=lambda done, total: None,
    ).populations  # fmt: skip
    for place in range(max(map(len, pools))):
        for pool in pools:
            if place < len(pool) and len(ledger.y) < labels:
                ledger(pool[[place]])
    return ledger


WAYS: dict[str, Callable[[Benchmark, int, int], Ledger]] = {
    "active": active,
    "anneal": on_scores("anneal"),
    "local": on_scores("local"),
    "one-factor": one_factor,
}
"""By name: ``(benchmark, labels, seed)`` to what was measured."""

NESTED: Sequence[str] = ("active",)
"""Ways whose first labels do not depend on how many there are: one run serves all numbers of labels."""
