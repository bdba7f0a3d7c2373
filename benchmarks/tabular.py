"""A benchmark whose every schedule is measured, so that evaluation is a lookup."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.problem import Benchmark
from omsdpm.dataset import ScheduleDataset
from omsdpm.errors import InputError


class TabularBenchmark(Benchmark):
    """A :class:`~benchmarks.Benchmark` with exact ground truth: front, optimum and regret.

    As NAS-Bench-201 (Dong & Yang, 2020) is for architectures.

    Example:
        >>> benchmark = load_benchmark("digits-tab")
        >>> benchmark.optimum(budget=150).y
    """

    @cached_property
    def _row_of(self) -> dict[bytes, int]:
        return {row.tobytes(): i for i, row in enumerate(self.space.canonical(self.dataset.X))}

    def evaluate(
        self, X: ArrayLike, device: str = "cpu", progress: Callable[[int], object] | None = None
    ) -> NDArray[np.float64]:
        """Looks the scores up: ``(n, L) -> (n,)``; ``device`` and ``progress`` are for the interface.

        Raises:
            InputError: an invalid schedule, or a table that is not complete.
        """
        rows = self.space.canonical(self.space.check(np.asarray(X)))
        try:
            found = [self._row_of[row.tobytes()] for row in rows]
        except KeyError as error:
            raise InputError(
                f"benchmark {self.name} holds {len(self.dataset)} of {self.space.cardinality} schedules: "
                "finish it with `omsdpm-bench dataset build`"
            ) from error
        return self.dataset.y[found]

    @cached_property
    def _costs(self) -> NDArray[np.float64]:
        return self.space.latency(self.dataset.X, self.latency)

    def pareto_front(self) -> ScheduleDataset:
        """The schedules that no other beats in both score and latency, by rising latency."""
        order = np.lexsort((self.dataset.y, self._costs))
        best_before = np.concatenate([[np.inf], np.minimum.accumulate(self.dataset.y[order])[:-1]])
        return self.dataset[order[self.dataset.y[order] < best_before]]

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
