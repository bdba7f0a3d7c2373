"""The book a search keeps: what was scored, what is left, what came first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.pareto import nondominated
from studies.problem import SearchProblem
from studies.result import History, SearchResult

Progress = Callable[[int, int], None]

PATIENCE = 20
"""Batches without a new schedule after which a search ends: the space holds no more for it."""


class Ledger:
    """Scores schedules for an optimizer and remembers them by canonical form.

    All predictor calls of a search go through :meth:`score`, so no optimizer can spend
    more than its allowance, pay for a schedule twice, or return one that is invalid or
    over budget.

    Args:
        problem: what is searched.
        evaluations: allowance of predictor calls (schedules scored).
        progress: called with (scored, allowance) after each batch.
    """

    def __init__(self, problem: SearchProblem, evaluations: int, progress: Progress | None = None) -> None:
        self.problem = problem
        self.evaluations = evaluations
        self._progress = progress
        self._rows: dict[bytes, int] = {}  # canonical form -> row
        self._X = np.empty((0, problem.space.length), dtype=np.int64)
        self._scores = np.empty(0)
        self._batches: list[int] = []
        self._idle = 0

    def __len__(self) -> int:
        """Number of schedules scored so far."""
        return len(self._rows)

    @property
    def remaining(self) -> int:
        """Schedules that may still be scored."""
        return self.evaluations - len(self)

    @property
    def open(self) -> bool:
        """There is allowance left, and a chance of a schedule that was not seen yet."""
        return self.remaining > 0 and self._idle < PATIENCE and len(self) < self.problem.space.cardinality

    @property
    def schedules(self) -> NDArray[np.int64]:
        """``(e, L)``: all scored schedules in canonical form, in order."""
        return self._X[: len(self)]

    @property
    def scores(self) -> NDArray[np.float64]:
        """``(e,)``: their predicted scores."""
        return self._scores[: len(self)]

    def unseen(self, X: ArrayLike) -> NDArray[np.bool_]:
        """``(n, L) -> (n,)``: neither scored before nor, up to canonical form, earlier in ``X``."""
        new: set[bytes] = set()
        answer = []
        for key in self._keys(X):
            answer.append(key not in self._rows and key not in new)
            new.add(key)
        return np.array(answer, dtype=bool)

    def score(self, X: ArrayLike) -> NDArray[np.float64]:
        """``(n, L) -> (n,)``: predicted scores; known schedules cost nothing.

        ``inf`` for what the predictor is not asked about: schedules that are invalid,
        over budget, or come after the allowance is spent.
        """
        problem = self.problem
        batch = problem.space.as_batch(X)
        allowed = problem.space.valid(batch) & problem.fits(batch) & self.unseen(batch)
        new = np.flatnonzero(allowed)[: self.remaining]
        if len(new):
            self._record(problem.space.canonical(batch[new]))
        else:
            self._idle += 1
        if self._progress is not None:
            self._progress(len(self), self.evaluations)
        rows = [self._rows.get(key, -1) for key in self._keys(batch)]
        return np.append(self.scores, np.inf)[rows]

    def result(self, population: ArrayLike | None = None, *, size: int = 40) -> SearchResult:
        """The result of the search: a population, and the front of everything seen.

        Args:
            population: ``(n, L)`` schedules scored before; ``None`` for the ``size`` best.
        """
        cost = self.problem.cost(self.schedules) if len(self) else np.empty(0)
        if population is None:
            chosen = np.argsort(self.scores, kind="stable")[:size].tolist()
        else:
            chosen = [self._rows[key] for key in self._keys(population)]
        rows = np.unique([*chosen, *nondominated(self.scores, cost).tolist()]).astype(np.int64)
        rows = rows[np.lexsort((cost[rows], self.scores[rows]))]
        history = History(self.scores.copy(), cost, np.array(self._batches, dtype=np.int64))
        return SearchResult(self.schedules[rows], self.scores[rows], cost[rows], history, len(self))

    def _record(self, new: NDArray[np.int64]) -> None:
        scores = self.problem.score(new)
        start, stop = len(self), len(self) + len(new)
        if stop > len(self._X):  # doubling keeps many small batches linear in time
            room = min(self.evaluations, max(2 * stop, 1024))
            self._X = np.concatenate(
                [self.schedules, np.empty((room - start, self.problem.space.length), dtype=np.int64)]
            )
            self._scores = np.concatenate([self.scores, np.empty(room - start)])
        self._X[start:stop] = new
        self._scores[start:stop] = scores
        self._rows.update((row.tobytes(), start + i) for i, row in enumerate(new))
        self._batches.append(stop)
        self._idle = 0

    def _keys(self, X: ArrayLike) -> list[bytes]:
        return [row.tobytes() for row in self.problem.space.canonical(X)]
