"""Winners and baselines side by side, sampled for real."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from studies.jobs.run.search import PricedSpace, SearchOutcome
from studies.records.progress import Step
from studies.records.result import Record

if TYPE_CHECKING:
    from benchmarks import Baseline, Benchmark

KINDS = ("single", "stitch")
"""The baselines that every table shows: one member, or two in a row; other strategies' come after them."""


class Scored(Record):
    """A schedule ``(L,)``, its latency in ms, and the scores of its images, one a seed."""

    name: str
    schedule: tuple[int, ...]
    latency: float
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean score over the seeds."""
        return float(np.mean(self.scores))

    @property
    def std(self) -> float:
        """Sample standard deviation over the seeds; 0 for a single one."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else 0.0


class Winner(Record):
    """The best predicted schedule under one budget.

    Attributes:
        budget: ms.
        schedule: ``(L,)``.
        nfe: its network evaluations.
        latency: ms by the frozen table.
        predicted: the predictor's score, which is no measurement.
        measured: its scores, ``None`` if nothing was sampled.
        measured_latency: ms on this device, with ``measured``.
        baselines: the best of each kind within the budget, where there is one.
    """

    budget: float
    schedule: tuple[int, ...]
    nfe: int
    latency: float
    predicted: float
    measured: Scored | None = None
    measured_latency: float | None = None
    baselines: dict[str, Scored] = Field(default_factory=dict)

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
        return 100 * (best.mean - self.measured.mean) / abs(best.mean)  # negated scores are below 0


class ValidationPlan(Record):
    """How winners and baselines are scored: images a seed, and the seeds of the noise.

    Attributes:
        baselines_again: the baselines' stored scores were made otherwise, so the best of
            them are sampled again; a Fréchet distance depends on the number of images.
    """

    images: int
    seeds: tuple[int, ...]
    baselines_again: bool = False


@dataclass(frozen=True, eq=False)
class SampledWinners:
    """The winners of a run, and a small batch of images ``(n, C, H, W)`` of each."""

    winners: list[Winner]
    images: list[NDArray[np.float32]]


def kinds_of(present: Iterable[str]) -> tuple[str, ...]:
    """:data:`KINDS`, and which others are present, sorted."""
    return (*KINDS, *sorted(set(present) - set(KINDS)))


def validation_plan(benchmark: Benchmark, images: int | None, seeds: int) -> ValidationPlan:
    """The plan of a run: the stored scores' noise as far as it goes, then new seeds."""
    stored_images, stored_seeds = benchmark.validation
    # New seeds follow the stored ones; the dataset's own noise would not be fresh.
    new = (seed for seed in count(max(stored_seeds, default=-1) + 1) if seed != benchmark.measurement.seed)
    chosen = (*stored_seeds[:seeds], *islice(new, max(0, seeds - len(stored_seeds))))
    images = stored_images if images is None else images
    again = images != stored_images or not set(chosen) <= set(stored_seeds)
    return ValidationPlan(images=images, seeds=chosen, baselines_again=again)


def predicted_only(benchmark: Benchmark, outcome: SearchOutcome, budgets: Sequence[float]) -> list[Winner]:
    """The winners without sampling anything; the baselines have their stored scores."""
    stored = [_stored(choice) for choice in _best_baselines(benchmark, budgets)]
    priced = PricedSpace(benchmark.space, list(benchmark.latency))
    return [
        winner.model_copy(update={"baselines": baselines})
        for winner, baselines in zip(best_predicted(priced, outcome, budgets), stored, strict=True)
    ]


def best_predicted(priced: PricedSpace, outcome: SearchOutcome, budgets: Sequence[float]) -> list[Winner]:
    """The winners of a search, which nothing has measured."""
    latency = priced.space.latency(outcome.winners, priced.latency)
    nfe = priced.space.nfe(outcome.winners)
    return [
        Winner(
            budget=budget,
            schedule=tuple(outcome.winners[row].tolist()),
            nfe=int(nfe[row]),
            latency=float(latency[row]),
            predicted=float(outcome.predicted[row]),
        )
        for row, budget in enumerate(budgets)
    ]


def validate(
    benchmark: Benchmark,
    outcome: SearchOutcome,
    budgets: Sequence[float],
    plan: ValidationPlan,
    *,
    device: str,
    progress: Step,
) -> SampledWinners:
    """Samples the winners, and the best baselines where their stored scores do not compare."""
    best = _best_baselines(benchmark, budgets)
    schedules = [np.asarray(row) for row in outcome.winners]
    if plan.baselines_again:
        schedules += [np.asarray(baseline.schedule) for choice in best for baseline in choice.values()]
    # Two budgets may share a winner or a baseline: every schedule is sampled once.
    unique, row_of = np.unique(benchmark.space.canonical(np.array(schedules)), axis=0, return_inverse=True)
    row_of = row_of.reshape(-1)
    measured = benchmark.validate(unique, images=plan.images, seeds=plan.seeds, device=device, progress=progress)
    if plan.baselines_again:
        rows = iter(row_of[len(outcome.winners) :])
        baselines = [
            {kind: _scored(baseline, np.asarray(measured.scores[next(rows)])) for kind, baseline in choice.items()}
            for choice in best
        ]
    else:
        _, stored_seeds = benchmark.validation
        columns = [stored_seeds.index(seed) for seed in plan.seeds]
        baselines = [_stored(choice, columns) for choice in best]
    priced = PricedSpace(benchmark.space, list(benchmark.latency))
    winners = [
        winner.model_copy(
            update={
                "measured": Scored(
                    name="winner",
                    schedule=winner.schedule,
                    latency=winner.latency,
                    scores=tuple(np.asarray(measured.scores[row]).tolist()),
                ),
                "measured_latency": float(measured.latency_ms[row]),
                "baselines": choice,
            }
        )
        for winner, row, choice in zip(
            best_predicted(priced, outcome, budgets), row_of[: len(budgets)], baselines, strict=True
        )
    ]
    return SampledWinners(winners, [np.asarray(measured.images[row]) for row in row_of[: len(budgets)]])


def _best_baselines(benchmark: Benchmark, budgets: Sequence[float]) -> list[dict[str, Baseline]]:
    """For each budget the best of each kind within it, by stored score."""
    chosen = []
    for budget in budgets:
        within = [baseline for baseline in benchmark.baselines if baseline.latency <= budget]
        best = {}
        for kind in kinds_of(baseline.kind for baseline in within):
            of_kind = [baseline for baseline in within if baseline.kind == kind]
            if of_kind:
                best[kind] = min(of_kind, key=lambda baseline: baseline.mean)
        chosen.append(best)
    return chosen


def _stored(choice: dict[str, Baseline], columns: list[int] | None = None) -> dict[str, Scored]:
    rows = slice(None) if columns is None else columns
    return {kind: _scored(baseline, np.asarray(baseline.scores)[rows]) for kind, baseline in choice.items()}


def _scored(baseline: Baseline, scores: NDArray[np.float64]) -> Scored:
    return Scored(
        name=baseline.name,
        schedule=tuple(np.asarray(baseline.schedule).tolist()),
        latency=float(baseline.latency),
        scores=tuple(np.asarray(scores).tolist()),
    )
