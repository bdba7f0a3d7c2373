"""What an optimizer is given: a space, a price list, a predictor and perhaps a budget."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError, InputWarning
from omsdpm.latency import LatencyTable
from omsdpm.solvers import ScheduleSpace


class Scorer(Protocol):
    """Anything that scores schedules: a fitted predictor, or a function wrapped as one."""

    def predict(self, X: NDArray[np.int64], /) -> NDArray[np.float64]:
        """``(n, L) -> (n,)``, lower is better."""
        ...


class SearchProblem:
    """Find schedules of low predicted score and low latency.

    Args:
        space: the schedules to choose from.
        predictor: anything with ``predict(X) -> (n,)``, lower is better.
        latency: cost of one evaluation of each member, ``(M,)``, in ms; a :class:`omsdpm.latency.LatencyTable` may
            say what else a schedule costs.
        budget: most that a schedule may cost, in ms; ``None`` for no limit.

    Attributes:
        latency: ``(M,)`` ms a member.
        table: the same with all that is known of costs.
        prices: ``(M,)`` most that an evaluation of each member adds to a schedule, ms.
        scored: number of schedules the predictor has been asked about.

    Raises:
        InputError: a latency table that does not suit the space, or a budget below the
            cheapest schedule (one step of the fastest member).
    """

    def __init__(
        self,
        *,
        space: ScheduleSpace,
        predictor: Scorer,
        latency: Sequence[float] | NDArray[np.float64],
        budget: float | None = None,
    ) -> None:
        self.space = space
        self.predictor = predictor
        self.table = LatencyTable.of(latency)
        self.latency = np.array(self.table, dtype=float)
        self.prices = self.latency + (self.table.step + self.table.switch)
        self.budget = None if budget is None else float(budget)
        self.scored = 0
        full = np.repeat(np.arange(1, space.num_models + 1)[:, None], space.length, axis=1)  # (M, L)
        self.dearest = float(space.latency(full, self.table).max()) + self.table.switch * (space.length - 1)
        self.cheapest = self.table.cheapest
        if self.budget is not None and not self.budget >= self.cheapest:
            member = int(self.latency.argmin()) + 1
            raise InputError(
                f"budget {self.budget:g} ms is below the cheapest schedule: "
                f"give at least {self.cheapest:.6g} ms, one step of member {member}"
            )

        if self.budget is not None and self.budget > self.dearest:
            warnings.warn(
                f"budget {self.budget:g} ms is more than the dearest schedule takes, {self.dearest:.6g} ms: it limits "
                "nothing; if the latency table is in seconds, give milliseconds",
                InputWarning,
                stacklevel=2,
            )

    @property
    def limit(self) -> float:
        """The budget, or where there is none the cost of the dearest schedule, in ms."""
        return self.dearest if self.budget is None else self.budget

    def cost(self, X: ArrayLike) -> NDArray[np.float64]:
        """``(n, L) -> (n,)``: latency of each schedule in ms."""
        return self.space.latency(X, self.table)

    def fits(self, X: ArrayLike) -> NDArray[np.bool_]:
        """``(n, L) -> (n,)``: the schedule's cost is within the budget."""
        cost = self.cost(X)
        return np.ones(len(cost), dtype=bool) if self.budget is None else cost <= self.budget

    def score(self, X: ArrayLike) -> NDArray[np.float64]:
        """``(n, L) -> (n,)``: predicted scores; each row counts as one evaluation.

        Raises:
            InputError: an invalid schedule, or a predictor that does not give one finite
                number a schedule.
        """
        batch = self.space.check(X)
        self.scored += len(batch)
        scores = np.asarray(self.predictor.predict(batch), dtype=float)
        if scores.shape != (len(batch),):
            raise InputError(f"predictor gave scores of shape {scores.shape} for {len(batch)} schedules: expected (n,)")
        if not np.isfinite(scores).all():
            row = int(np.flatnonzero(~np.isfinite(scores))[0])
            raise InputError(f"predictor gave {scores[row]} for schedule {batch[row].tolist()}: expected finite scores")
        return scores
