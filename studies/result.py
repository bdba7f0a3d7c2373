"""What a search gives back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.pareto import nondominated
from studies.metrics import best_so_far


@dataclass(frozen=True, eq=False)
class History:
    """Every schedule that was scored, in the order it was, and where the batches ended."""

    scores: NDArray[np.float64]
    """``(e,)``: predicted scores, lower is better."""
    latency: NDArray[np.float64]
    """``(e,)``: ms."""
    evaluations: NDArray[np.int64]
    """``(b,)``: schedules scored by the end of each batch."""

    @property
    def best(self) -> NDArray[np.float64]:
        """``(b,)``: lowest score by the end of each batch."""
        return self.curve()[self.evaluations - 1]

    def curve(self, budget: float | None = None) -> NDArray[np.float64]:
        """``(e,)``: lowest score within ``budget`` after each evaluation, ``inf`` before the first."""
        return best_so_far(self.scores, self.latency, budget)


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The final population: valid schedules within budget, no two the same, best score first.

    It holds the front of everything the search has seen, so that :meth:`front` and
    :meth:`best` forget nothing even where the population's size is small.
    """

    X: NDArray[np.int64]
    """``(n, L)``, in canonical form."""
    scores: NDArray[np.float64]
    """``(n,)``: predicted scores, lower is better."""
    latency: NDArray[np.float64]
    """``(n,)``: ms."""
    history: History
    evaluations: int
    """Number of schedules the predictor was asked about."""

    def __len__(self) -> int:
        return len(self.X)

    def front(self) -> SearchResult:
        """The nondominated part, sorted by latency."""
        return self._rows(nondominated(self.scores, self.latency))

    def best(self, budget: float | None = None) -> NDArray[np.int64]:
        """``(L,)``: the schedule of the lowest predicted score within ``budget`` (ms).

        Raises:
            InputError: no schedule of this search is within the budget.
        """
        return self.X[self.best_index(budget)]

    def best_index(self, budget: float | None = None) -> int:
        """The row of :meth:`best`; of equal scores the one of lower latency."""
        fitting = np.flatnonzero(self.latency <= (np.inf if budget is None else budget))
        if not len(fitting):
            raise InputError(
                f"budget {budget:g} ms: the cheapest schedule that this search found costs "
                f"{self.latency.min():.6g} ms; give at least that, or search with this budget"
            )
        return int(fitting[np.lexsort((self.latency[fitting], self.scores[fitting]))[0]])

    def _rows(self, rows: NDArray[np.int64]) -> SearchResult:
        return replace(self, X=self.X[rows], scores=self.scores[rows], latency=self.latency[rows])
