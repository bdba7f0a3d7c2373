"""Rounds of a search that labels: fit, find where the score could be lower, measure there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from omsdpm.dataset.labels import LabelStore
from omsdpm.errors import InputError
from omsdpm.solvers import Schedules
from studies.active.start import start_design
from studies.jobs.run.search import PricedSpace, search
from studies.pessimist import Pessimist

if TYPE_CHECKING:
    from predictors import Predictor
    from studies import Optimizer

Array = NDArray[np.float64]
Measure = Callable[[Schedules], Array]

START = 20
"""Labels of the start design."""

BATCH = 10
"""Labels of a round."""

BETAS = (0.0, 0.5, 1.0, 2.0)
"""Standard deviations that are taken off a prediction: from what is believed best to what could be."""

EVALUATIONS = 2000
"""Schedules that each of a round's searches may score."""

CLIMBED = 3
"""Best labels under each budget whose neighbors are looked at, and measured before a search ends."""

HOPE = 2.0
"""Standard deviations under its prediction at which a schedule is given up: it is not expected to be better."""


@dataclass(frozen=True)
class LeftToSpend:
    """How a search stands.

    Attributes:
        labels: made so far.
        best: ``(b,)`` the best label under each budget; NaN where there is none.
    """

    labels: int
    best: Array


@dataclass(frozen=True)
class ActiveSearch:
    """Bayesian optimization of the schedules under all budgets at once.

    A round fits a predictor on all labels, searches the lower confidence bound ``mean - beta std`` (for
    each of :data:`BETAS` by one run of the optimizer for all budgets, and among the neighbors of the best
    labels), and measures the best new schedules of each budget in turn. Where none is expected to be better than the
    best label, the neighbors of the best labels are measured all the same.

    Attributes:
        priced: the schedules to choose from, and what one evaluation of each member costs in ms.
        budgets: ms, rising.
        optimizer: of the searches on the predictor.
        make: gives an unfitted predictor, which should know its uncertainty, from a seed.
        measure: scores of schedules ``(n, L) -> (n,)``.
        start, batch: labels of the start design and of a round.
        seed: of all that is drawn.

    Raises:
        InputError: no label for each budget.
    """

    priced: PricedSpace
    budgets: Sequence[float]
    optimizer: Optimizer
    make: Callable[[int], Predictor]
    measure: Measure
    start: int = START
    batch: int = BATCH
    seed: int = 0

    def run(
        self, store: LabelStore, labels: int, progress: Callable[[LeftToSpend], object] = lambda state: None
    ) -> None:
        """Spends labels until ``labels`` are in the store, or none is expected to be better and no neighbor is.

        What the store holds counts: a search that was killed goes on where it was, and one that has
        ended goes on with more labels.

        Args:
            store: takes the labels.
            labels: how many, those in the store included.
            progress: given the state of the search after each batch.

        Raises:
            InputError: fewer labels than the start design has.
        """
        if labels < self.start:
            raise InputError(f"{labels} labels: the start design alone has {self.start}; give more")
        space = self.priced.space
        rng = np.random.default_rng([self.seed, 0])
        first = start_design(space, self.priced.latency, self.budgets, self.start, rng)
        progress(self._state(store))
        while len(ahead := store.new(first)):
            self._measured(store, first[ahead[: self.batch]], "start", progress)
        number = max(0, len(store) - len(first)) // self.batch
        while len(store) < labels:
            number += 1
            chosen = self.ask(store, min(self.batch, labels - len(store)))
            if not len(chosen):
                return
            self._measured(store, chosen, f"round {number}", progress)

    def ask(self, store: LabelStore, n: int) -> Schedules:
        """The ``n`` schedules at most that are worth a label next, ``(m, L)``."""
        dataset, space = store.dataset, self.priced.space
        predictor = self.make(self.seed).fit(dataset.X, dataset.y)
        pools = [self._pool(predictor, beta, len(store)) for beta in BETAS]
        climbed = self._neighbors(store)
        chosen: list[NDArray[np.int64]] = []
        taken = store.keys

        def take(pool: Schedules, beta: float, best: float) -> bool:
            x = None if len(chosen) == n else self._best_new(predictor, pool, beta, taken, best)
            if x is not None:
                chosen.append(x)
                taken.add(space.canonical(x[None])[0].tobytes())
            return x is not None

        # Budgets in turn, and betas in turn for each, so that a small batch has a bit of all.
        for turn in range(n * len(BETAS)):
            for at, budget in enumerate(self.budgets):
                beta = BETAS[(turn + at + len(store) // self.batch) % len(BETAS)]
                take(np.concatenate([pools[BETAS.index(beta)][at], climbed[at]]), beta, self._best(store, budget))
        # A predictor of few labels may be sure and wrong: before it is believed that nothing is better, the best
        # labels' neighbors are measured.
        while any([take(pool, HOPE, np.nan) for pool in climbed]):
            pass
        return np.array(chosen, dtype=np.int64).reshape(-1, space.length)

    def _best_new(
        self, predictor: Predictor, pool: Schedules, beta: float, taken: set[bytes], best: float
    ) -> NDArray[np.int64] | None:
        """The pool's schedule of the lowest bound that is not taken, if it may be better than the best (NaN: any)."""
        canonical = self.priced.space.canonical(pool)
        free = np.array([x.tobytes() not in taken for x in canonical], dtype=bool)
        if not free.any():
            return None
        pool = pool[free]
        bound = predictor.predict_bound(pool, -beta)
        row = int(bound.argmin())
        hope = float(predictor.predict_bound(pool[[row]], -HOPE)[0])
        return pool[row] if not np.isfinite(best) or hope < best else None

    def _pool(self, predictor: Predictor, beta: float, labels: int) -> list[Schedules]:
        """For each budget the schedules of the lowest bounds that the optimizer finds."""
        outcome = search(
            self.optimizer, self.priced, Pessimist(predictor, -beta), self.budgets,
            evaluations=EVALUATIONS, seed=self.seed + labels, progress=lambda done, total: None,
        )  # fmt: skip
        return outcome.populations

    def _neighbors(self, store: LabelStore) -> list[Schedules]:
        """For each budget the schedules within it that differ from one of its best labels in one slot."""
        dataset, space, latency = store.dataset, self.priced.space, self.priced.latency
        cost = space.latency(dataset.X, latency)
        order = np.argsort(dataset.y, kind="stable")
        pools = []
        for budget in self.budgets:
            rows = order[cost[order] <= budget][:CLIMBED]
            near = [space.neighbors(dataset.X[row]) for row in rows]
            pool = np.concatenate(near) if near else np.zeros((0, space.length), dtype=np.int64)
            pools.append(pool[space.latency(pool, latency) <= budget] if len(pool) else pool)
        return pools

    def _measured(
        self, store: LabelStore, X: Schedules, design: str, progress: Callable[[LeftToSpend], object]
    ) -> None:
        store.add(X, self.measure(X), design)
        progress(self._state(store))

    def _best(self, store: LabelStore, budget: float) -> float:
        dataset = store.dataset
        if not len(dataset):
            return float("nan")
        fits = self.priced.space.latency(dataset.X, self.priced.latency) <= budget
        return float(dataset.y[fits].min()) if fits.any() else float("nan")

    def _state(self, store: LabelStore) -> LeftToSpend:
        return LeftToSpend(len(store), np.array([self._best(store, budget) for budget in self.budgets]))
