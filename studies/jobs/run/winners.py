"""Winners and baselines side by side, sampled for real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from studies.jobs.run.search import Found
from studies.records.progress import Step

if TYPE_CHECKING:
    from benchmarks import Baseline, Benchmark

KINDS = ("single", "stitch")
"""The baselines that a user has without any search: one member, or two in a row."""


@dataclass(frozen=True)
class Scored:
    """A schedule and the scores of its images, one a seed."""

    name: str
    schedule: NDArray[np.int64]
    latency: float
    scores: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """Mean score over the seeds."""
        return float(self.scores.mean())

    @property
    def std(self) -> float:
        """Sample standard deviation over the seeds; 0 for a single one."""
        return float(self.scores.std(ddof=1)) if len(self.scores) > 1 else 0.0


@dataclass(frozen=True)
class Winner:
    """The best predicted schedule under one budget.

    Attributes:
        budget: ms.
        schedule: ``(L,)``.
        nfe: its network evaluations.
        latency: ms by the benchmark's frozen table.
        predicted: the predictor's score, which is no measurement.
        measured: its scores, ``None`` if nothing was sampled.
        measured_latency: ms on this device, with ``measured``.
        baselines: the best of each of :data:`KINDS` within the budget, where there is one.
    """

    budget: float
    schedule: NDArray[np.int64]
    nfe: int
    latency: float
    predicted: float
    measured: Scored | None
    measured_latency: float | None
    baselines: dict[str, Scored]

    @property
    def best_baseline(self) -> Scored | None:
        """The baseline of the lowest mean score."""
        return min(self.baselines.values(), key=lambda scored: scored.mean, default=None)

    @property
    def gain(self) -> float | None:
        """How much lower than the best baseline the winner's mean score is, in percent."""
        best = self.best_baseline
        if self.measured is None or best is None or best.mean == 0:
            return None
        return 100 * (best.mean - self.measured.mean) / best.mean


@dataclass(frozen=True)
class Protocol:
    """How scores were measured: images a seed, and the seeds of the noise.

    Attributes:
        baselines_again: the baselines' stored scores were made otherwise, so the best of
            them were sampled again; a Fréchet distance depends on the number of images.
    """

    images: int
    seeds: tuple[int, ...]
    baselines_again: bool = False


@dataclass(frozen=True)
class Validated:
    """The winners of a run, a small batch of images of each, and how they were scored."""

    winners: list[Winner]
    images: list[NDArray[np.float32]]
    protocol: Protocol


def protocol(benchmark: Benchmark, images: int | None, seeds: int) -> Protocol:
    """The protocol of a run: the stored one's noise as far as it goes, then new seeds."""
    stored_images, stored_seeds = benchmark.validation
    # New seeds follow the stored ones; the dataset's own noise would not be fresh.
    new = (seed for seed in count(max(stored_seeds, default=-1) + 1) if seed != benchmark.measurement.seed)
    chosen = (*stored_seeds[:seeds], *islice(new, max(0, seeds - len(stored_seeds))))
    images = stored_images if images is None else images
    again = images != stored_images or not set(chosen) <= set(stored_seeds)
    return Protocol(images, chosen, again)


def predicted_only(benchmark: Benchmark, found: Found, budgets: Sequence[float]) -> list[Winner]:
    """The winners without sampling anything; the baselines have their stored scores."""
    stored = _best_baselines(benchmark, budgets)
    return _winners(benchmark, found, budgets, lambda row: (None, None), [_stored(found) for found in stored])


def validate(
    benchmark: Benchmark,
    found: Found,
    budgets: Sequence[float],
    how: Protocol,
    *,
    device: str,
    progress: Step,
) -> Validated:
    """Samples the winners, and the best baselines where their stored scores do not compare."""
    best = _best_baselines(benchmark, budgets)
    schedules = [np.asarray(row) for row in found.winners]
    if how.baselines_again:
        schedules += [np.asarray(baseline.schedule) for choice in best for baseline in choice.values()]
    # Two budgets may share a winner or a baseline: every schedule is sampled once.
    unique, row_of = np.unique(benchmark.space.canonical(np.array(schedules)), axis=0, return_inverse=True)
    row_of = row_of.reshape(-1)
    measured = benchmark.validate(unique, images=how.images, seeds=how.seeds, device=device, progress=progress)

    def of_winner(row: int) -> tuple[NDArray[np.float64], float]:
        return np.asarray(measured.scores[row_of[row]]), float(measured.latency_ms[row_of[row]])

    if how.baselines_again:
        rows = iter(row_of[len(found.winners) :])
        baselines = [
            {kind: _scored(baseline, np.asarray(measured.scores[next(rows)])) for kind, baseline in choice.items()}
            for choice in best
        ]
    else:
        _, stored_seeds = benchmark.validation
        columns = [stored_seeds.index(seed) for seed in how.seeds]
        baselines = [_stored(choice, columns) for choice in best]
    winners = _winners(benchmark, found, budgets, of_winner, baselines)
    images = [np.asarray(measured.images[row]) for row in row_of[: len(found.winners)]]
    return Validated(winners, images, how)


def _winners(
    benchmark: Benchmark,
    found: Found,
    budgets: Sequence[float],
    measured: Callable[[int], tuple[NDArray[np.float64] | None, float | None]],
    baselines: Sequence[dict[str, Scored]],
) -> list[Winner]:
    latency = benchmark.space.latency(found.winners, list(benchmark.latency))
    nfe = benchmark.space.nfe(found.winners)
    winners = []
    for row, budget in enumerate(budgets):
        schedule = np.asarray(found.winners[row])
        scores, ms = measured(row)
        winners.append(
            Winner(
                budget=budget,
                schedule=schedule,
                nfe=int(nfe[row]),
                latency=float(latency[row]),
                predicted=float(found.predicted[row]),
                measured=None if scores is None else Scored("winner", schedule, float(latency[row]), scores),
                measured_latency=ms,
                baselines=baselines[row],
            )
        )
    return winners


def _best_baselines(benchmark: Benchmark, budgets: Sequence[float]) -> list[dict[str, Baseline]]:
    """For each budget the best of each kind within it, by stored score."""
    chosen = []
    for budget in budgets:
        within = [baseline for baseline in benchmark.baselines if baseline.latency <= budget]
        best = {}
        for kind in KINDS:
            of_kind = [baseline for baseline in within if baseline.kind == kind]
            if of_kind:
                best[kind] = min(of_kind, key=lambda baseline: baseline.mean)
        chosen.append(best)
    return chosen


def _stored(choice: dict[str, Baseline], columns: list[int] | None = None) -> dict[str, Scored]:
    rows = slice(None) if columns is None else columns
    return {kind: _scored(baseline, np.asarray(baseline.scores)[rows]) for kind, baseline in choice.items()}


def _scored(baseline: Baseline, scores: NDArray[np.float64]) -> Scored:
    return Scored(baseline.name, np.asarray(baseline.schedule), float(baseline.latency), scores)
