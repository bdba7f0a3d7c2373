"""A benchmark whose every schedule is measured, so that evaluation is a lookup."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.problem import Benchmark
from omsdpm.dataset import ScheduleDataset
from omsdpm.errors import InputError
from omsdpm.pareto import nondominated


class TabularBenchmark(Benchmark):
    """A :class:`~benchmarks.Benchmark` with exact ground truth: front, optimum and regret.

    As NAS-Bench-201 (Dong & Yang, 2020) is for architectures.

    Example:
        >>> benchmark = load_benchmark("digits-tab")
        >>> benchmark.optimum(budget=150).y
    """

    def evaluate(
        self, X: ArrayLike, device: str = "cpu", progress: Callable[[int, int], object] | None = None
    ) -> NDArray[np.float64]:
        """Looks the scores up: ``(n, L) -> (n,)``; ``device`` and ``progress`` are for the interface.

        Raises:
            InputError: an invalid schedule, or a table that is not complete.
        """
        scores = self.stored_scores(X)
        if np.isnan(scores).any():
            raise InputError(
                f"benchmark {self.name} holds {len(self.dataset)} of {self.space.cardinality} schedules: "
                "finish it with `omsdpm-bench dataset build`"
            )
        return scores

    @cached_property
    def _costs(self) -> NDArray[np.float64]:
        return self.space.latency(self.dataset.X, self.latency)

    def pareto_front(self) -> ScheduleDataset:
        """The schedules that no other beats in both score and latency, by rising latency."""
        return self.dataset[nondominated(self.dataset.y, self._costs)]

    def optimum(self, budget: float | None = None) -> ScheduleDataset:
        """The best schedule within a latency budget (ms), as a dataset of one row.

        Raises:
            InputError: no schedule fits.
        """
        fits = np.flatnonzero(self._costs <= (np.inf if budget is None else budget))
        if not len(fits):
            raise InputError(
                f"budget {budget} ms: the cheapest schedule of {self.name} takes {self._costs.min():.4g} ms"
            )
        return self.dataset[fits[[self.dataset.y[fits].argmin()]]]

    def regret(self, X: ArrayLike, budget: float | None = None) -> NDArray[np.float64]:
        """How much worse than the optimum of the budget each schedule is: ``(n, L) -> (n,)``, at least 0 within it."""
        return self.evaluate(X) - float(self.optimum(budget).y[0])
