"""What can be known of schedules before any label, and what it adds to labels, on `digits-tab`.

    python -m benchmarks.speed.prior --seeds 10

Without a label, the score of a schedule is taken to be what its solver gets wrong on Gaussian data of each
principal variance of the real images, ``sum_v (std_v - sqrt(v))^2``, plus what its members add: over
evaluations, the squared effect on the image times the member's excess error there. That is its mean squared error
of predicting the noise in noised real images, less the best member's at that time, measured once.

Printed is Kendall's tau over all schedules after so many labels of a start design, for `gp` and for `gp` on what the
prior leaves of the log scores (a line in its logarithm, of fitted slope); then the mean regret of the active search.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from benchmarks.problem import Benchmark
from benchmarks.registry import load_benchmark
from benchmarks.tabular import TabularBenchmark
from omsdpm.images import load_digits_images
from omsdpm.solvers import Schedules
from studies import make_optimizer
from studies.active import ActiveSearch, LabelStore, start_design
from studies.jobs.run.search import PricedSpace

if TYPE_CHECKING:
    from predictors import Predictor

Array = NDArray[np.float64]

IMAGES = 500
"""Real ones that are noised."""

SMALLEST_VARIANCE = 1e-6
"""Of the images: some pixels of the digits are always black."""

CHUNK = 2000
"""Schedules whose plans are looked at at once."""

LABELS = (10, 20, 50, 100)
"""After which tau is looked at."""

SPENT = (20, 40, 60, 100)
"""Labels after which the active search is looked at."""


class Prior:
    """A score without labels.

    Args:
        benchmark: one of the digits, with one evaluation a step.
    """

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark
        images = np.asarray(load_digits_images())
        covariance = np.cov(images.reshape(len(images), -1).T)
        self.variances = np.maximum(np.linalg.eigvalsh(covariance), SMALLEST_VARIANCE)
        self.times, self.excess = excess_errors(benchmark, images[:IMAGES])

    def __call__(self, X: Schedules) -> Array:
        """``(n, L) -> (n,)``, positive, lower is better."""
        parts = [self._of(X[at : at + CHUNK]) for at in range(0, len(X), CHUNK)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _of(self, X: Schedules) -> Array:
        space = self.benchmark.space
        flow = space.batch_plan(space.canonical(X), self.benchmark.noise, self.benchmark.options).flow(self.variances)
        solver = ((np.abs(flow.scale) - np.sqrt(self.variances)) ** 2).sum(axis=1)
        at = np.clip(np.searchsorted(self.times, flow.timestep), 0, len(self.times) - 1)
        excess = np.where(flow.member > 0, self.excess[np.maximum(flow.member - 1, 0), at], 0.0)  # (n, E)
        total: Array = solver + ((flow.effect**2).sum(axis=2) * excess).sum(axis=1)
        return total


def excess_errors(benchmark: Benchmark, images: NDArray[np.float32]) -> tuple[Array, Array]:
    """Timesteps of the slots ``(T,)``, rising, and the members' excess errors there ``(M, T)``."""
    import torch

    space, noise, zoo = benchmark.space, benchmark.noise, benchmark.zoo()
    alone = np.eye(space.length, dtype=np.int64)
    times = np.unique(space.batch_plan(alone, noise, benchmark.options).timestep)
    generator = torch.Generator().manual_seed(0)
    x_0 = torch.as_tensor(images)
    error = np.zeros((space.num_models, len(times)))
    for column, timestep in enumerate(times):
        t = noise.time(timestep)
        eps = torch.randn(x_0.shape, generator=generator)
        x = float(noise.alpha(t)) * x_0 + float(noise.sigma(t)) * eps
        for row, denoiser in enumerate(zoo.denoisers):
            with torch.inference_mode():
                error[row, column] = float(((denoiser(x, float(timestep)) - eps) ** 2).mean())
    return times, error - error.min(axis=0)


class OnPrior:
    """`gp` on positive scores over ``prior ** slope``; the slope is fitted by least squares on logarithms."""

    has_std = True

    def __init__(self, predictor: Predictor, prior: Prior) -> None:
        self.predictor, self.prior = predictor, prior

    def fit(self, X: Schedules, y: Array) -> Self:
        """Learns ``(n, L)`` and ``(n,)``."""
        known = np.log(self.prior(X))
        self.slope = float(np.polyfit(known, np.log(y), 1)[0])
        self.predictor.fit(X, y / np.exp(self.slope * known))
        return self

    def predict(self, X: Schedules) -> Array:
        """``(n, L) -> (n,)``."""
        return self.predict_bound(X, 0.0)

    def predict_bound(self, X: Schedules, kappa: float) -> Array:
        """``(n, L) -> (n,)``: with ``kappa`` standard deviations of the logarithm."""
        return self.predictor.predict_bound(X, kappa) * self.prior(X) ** self.slope


def regrets(benchmark: TabularBenchmark, prior: Prior | None, seed: int) -> Array:
    """Mean regret over the budgets of an active search after :data:`SPENT` labels."""

    def make(seed: int) -> Predictor:
        gp = benchmark.predictor("gp", random_state=seed)
        return gp if prior is None else cast("Predictor", OnPrior(gp, prior))  # it has all that a search asks for

    with tempfile.TemporaryDirectory() as folder:
        store = LabelStore(Path(folder) / "labels.parquet", benchmark.space, benchmark.metric, {})
        priced = PricedSpace(benchmark.space, benchmark.latency)
        ActiveSearch(
            priced, benchmark.budgets, make_optimizer("nsga2"), make, benchmark.evaluate, seed=seed
        ).run(store, SPENT[-1])  # fmt: skip
        X, y = store.dataset.X, store.dataset.y
    return np.array([np.mean(_regrets(benchmark, X[:n], y[:n])) for n in SPENT])


def _regrets(benchmark: TabularBenchmark, X: Schedules, y: Array) -> list[float]:
    cost = benchmark.space.latency(X, list(benchmark.latency))
    best = [y[cost <= budget].min() for budget in benchmark.budgets]
    return [float(b / benchmark.optimum(budget).y[0]) - 1 for b, budget in zip(best, benchmark.budgets, strict=True)]


def _line(name: str, values: Sequence[Array]) -> str:
    table = np.array(values)
    error = table.std(axis=0, ddof=1) / np.sqrt(len(table)) if len(table) > 1 else np.full(table.shape[1], np.nan)
    return f"{name:24}" + "  ".join(f"{m:.4f} +- {e:.4f}" for m, e in zip(table.mean(axis=0), error, strict=True))


def main() -> None:
    """Prints both tables: means over seeds with their standard errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    benchmark = load_benchmark("digits-tab")
    assert isinstance(benchmark, TabularBenchmark)
    prior, everything, scores = Prior(benchmark), benchmark.dataset.X, benchmark.dataset.y
    guess = prior(everything)
    print(f"tau of the prior alone {kendalltau(guess, scores).statistic:.3f}")
    cost = benchmark.space.latency(everything, list(benchmark.latency))
    for budget in benchmark.budgets:
        order = np.flatnonzero(cost <= budget)[np.argsort(guess[cost <= budget])]
        optimum = scores[order].min()
        first = f"the first has regret {scores[order[0]] / optimum - 1:.3f}"
        print(f"{budget:g} ms: the optimum is number {int(scores[order].argmin()) + 1} of the prior's, {first}")
    print("tau after", LABELS, "labels")
    few = np.random.default_rng(0).permutation(len(everything))[:3000]
    for name in ("gp", "gp on the prior"):
        taus = []
        for seed in range(arguments.seeds):
            row = []
            for n in LABELS:
                rng = np.random.default_rng(seed)
                X = start_design(benchmark.space, list(benchmark.latency), benchmark.budgets, n, rng)
                gp = benchmark.predictor("gp", random_state=seed)
                fitted = (gp if name == "gp" else OnPrior(gp, prior)).fit(X, benchmark.evaluate(X))
                row.append(kendalltau(fitted.predict(everything[few]), scores[few]).statistic)
            taus.append(np.array(row))
        print(_line(name, taus), flush=True)
    print("mean regret of the active search after", SPENT, "labels")
    for name, known in (("gp", None), ("gp on the prior", prior)):
        print(_line(name, [regrets(benchmark, known, seed) for seed in range(arguments.seeds)]), flush=True)


if __name__ == "__main__":
    main()
