"""Watching a search: what was scored when, and how long the predictor took for it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from studies import Optimizer, SearchProblem, SearchResult
from studies.optimizers.ledger import Ledger, Progress
from studies.problem import Scorer


@dataclass
class Log:
    """Everything that the searches of a cell had scored, in order.

    Attributes:
        X, scores, latency: a part a batch: ``(n, L)``, ``(n,)`` and ``(n,)`` ms.
        seconds: ``(n,)`` a batch: of search, when its scores were there.
        total: seconds of search.
        predicting: of these, seconds inside the predictor.
    """

    X: list[NDArray[np.int64]] = field(default_factory=list)
    scores: list[NDArray[np.float64]] = field(default_factory=list)
    latency: list[NDArray[np.float64]] = field(default_factory=list)
    seconds: list[NDArray[np.float64]] = field(default_factory=list)
    total: float = 0.0
    predicting: float = 0.0


class Recorded(Optimizer):
    """An optimizer whose searches are written down; it searches as the one that it holds.

    Args:
        optimizer: who searches.
        name: what results call it.
        log: gets what is scored.
    """

    watched: ClassVar[bool] = True

    def __init__(self, optimizer: Optimizer, name: str, log: Log) -> None:
        self.optimizer = optimizer
        self.name = name
        self.log = log
        self.multi_objective = optimizer.multi_objective  # type: ignore[misc]  # of this one, not of the class

    def run(
        self, problem: SearchProblem, *, evaluations: int, seed: int, progress: Progress | None = None
    ) -> SearchResult:
        """As the optimizer that it holds."""
        start = time.perf_counter()
        problem.predictor = _Watched(problem.predictor, problem, self.log, start - self.log.total)
        try:
            return self.optimizer.run(problem, evaluations=evaluations, seed=seed, progress=progress)
        finally:
            self.log.total += time.perf_counter() - start

    def _search(self, problem: SearchProblem, ledger: Ledger, rng: np.random.Generator) -> NDArray[np.int64] | None:
        return self.optimizer._search(problem, ledger, rng)


@dataclass
class _Watched:
    predictor: Scorer
    problem: SearchProblem
    log: Log
    origin: float

    def predict(self, X: NDArray[np.int64]) -> NDArray[np.float64]:
        """``(n, L) -> (n,)``, as the predictor has it."""
        start = time.perf_counter()
        scores = np.asarray(self.predictor.predict(X), dtype=float)
        now = time.perf_counter()
        self.log.predicting += now - start
        if scores.shape == (len(X),):  # the problem refuses others
            self.log.X.append(np.array(X))
            self.log.scores.append(scores)
            self.log.latency.append(self.problem.cost(X))
            self.log.seconds.append(np.full(len(X), now - self.origin))
        return scores
