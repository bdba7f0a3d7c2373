"""Winners and baselines: chosen by a race on some seeds, and reported on others that nothing was chosen by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field as PydanticField

from studies.jobs.run.race import race
from studies.jobs.run.search import PricedSpace, SearchOutcome
from studies.paired import Paired
from studies.records.progress import Step
from studies.records.result import Record

if TYPE_CHECKING:
    from benchmarks import Baseline, Benchmark
    from omsdpm.dataset import ScheduleDataset
    from studies.jobs.run.folder import RunFolder

LABELS = 3
"""Best measured schedules of the training data that race under each budget."""

RACE_SEEDS = 2
"""Seeds of the stored scores that candidates race on."""

SEARCH, TRAINING = "search", "labels"
"""Where a winner may come from: the search on the predictor, or the schedules that it was fitted on.

Or it is the best baseline, and has the name of the strategy that it is from.
"""


class Scored(Record):
    """A schedule ``(L,)``, where it comes from, its latency in ms, and the scores of its images, one a seed.

    Attributes:
        labels: of a baseline, the schedules that its strategy measures to come to it; ``None`` where nobody counted.
    """

    name: str
    source: str
    schedule: tuple[int, ...]
    latency: float
    scores: tuple[float, ...]
    labels: int | None = None

    @property
    def mean(self) -> float:
        """Mean score over the seeds."""
        return float(np.mean(self.scores))

    @property
    def std(self) -> float:
        """Sample standard deviation over the seeds; 0 for a single one."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else 0.0


class Winner(Record):
    """The best schedule under one budget.

    Attributes:
        budget: ms.
        schedule: ``(L,)``.
        nfe: its network evaluations.
        latency: ms by the frozen table.
        predicted: the predictor's score, which is no measurement.
        measured: its scores, ``None`` if nothing was sampled.
        measured_latency: ms on this device, with ``measured``.
        own: the best of the search's own candidates, which is what judges the predictor; mostly it is the winner.
        baseline: the best baseline within the budget, on the same seeds; ``None`` where there is none.
        kinds: of each strategy that has a baseline within the budget the best, with its stored scores; these are of
            the seeds that choose, and compare with each other only.
        raced: candidates that raced.
    """

    budget: float
    schedule: tuple[int, ...]
    nfe: int
    latency: float
    predicted: float
    measured: Scored | None = None
    measured_latency: float | None = None
    own: Scored | None = None
    baseline: Scored | None = None
    kinds: dict[str, Scored] = PydanticField(default_factory=dict)
    raced: int = 0

    @property
    def source(self) -> str:
        """Where the winner comes from."""
        return SEARCH if self.measured is None else self.measured.source

    @property
    def is_baseline(self) -> bool:
        """Whether the baseline won the race."""
        return self.measured is not None and self.measured == self.baseline

    @property
    def paired(self) -> Paired | None:
        """The winner against the baseline; ``None`` where one of them was not sampled."""
        if self.measured is None or self.baseline is None:
            return None
        return Paired(self.measured.scores, self.baseline.scores)

    @property
    def verdict(self) -> str | None:
        """What the comparison says, in words for people; ``None`` without one."""
        if self.paired is None:
            return None
        if self.is_baseline:
            return "the baseline"
        same = self.paired.ours == self.paired.theirs  # to the last digit: another schedule that samples the same
        return "the same schedule" if same else self.paired.verdict

    @property
    def gain(self) -> float | None:
        """How much lower than the baseline's the winner's mean score is, in percent."""
        return None if self.paired is None else self.paired.gain


class ValidationPlan(Record):
    """On what winners are chosen, and on what they are reported.

    Attributes:
        race_images, race_seeds: of the noise that candidates race on, where baselines were chosen too.
        images, seeds: of the noise that winners and baselines are reported on, which nothing was chosen by.
    """

    race_images: int
    race_seeds: tuple[int, ...]
    images: int
    seeds: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class SampledWinners:
    """The winners of a run, and a small batch of images ``(n, C, H, W)`` of each and of its baseline."""

    winners: list[Winner]
    images: list[NDArray[np.float32]]
    baseline_images: list[NDArray[np.float32] | None]


@dataclass(frozen=True)
class Candidate:
    """A schedule ``(L,)`` that races, where it comes from, and the labels that a baseline's strategy spent."""

    name: str
    source: str
    schedule: tuple[int, ...]
    labels: int | None = None


@dataclass(frozen=True)
class Field:
    """Who races under one budget.

    Attributes:
        own: what the search found, best predicted first.
        labels: the best measured schedules that the predictor was fitted on.
        baselines: for a budget that the benchmark lists, the one of the best stored scores; for another one, what
            strategies propose.
        kinds: the best stored baseline of each strategy.
    """

    own: list[Candidate]
    labels: list[Candidate]
    baselines: list[Candidate]
    kinds: dict[str, Scored]


Chosen = tuple[Candidate, Candidate, "Candidate | None"]
"""Of one budget the winner, the best of the search's own candidates, and the baseline."""


def validation_plan(
    benchmark: Benchmark, images: int | None, seeds: int, first_seed: int, race_images: int
) -> ValidationPlan:
    """The plan of a run.

    Args:
        benchmark: whose stored seeds choose.
        images: a seed, for the report; ``None`` is as the baselines were validated, and 1,000 at most.
        seeds: of the report.
        first_seed: they count from here; those that anything was chosen or measured by are left out.
        race_images: from the noise of each seed that chooses.
    """
    from benchmarks.report import REPORT_IMAGES

    stored_images, stored_seeds = benchmark.validation
    used = {benchmark.measurement.seed, *stored_seeds}
    fresh = islice((seed for seed in count(first_seed) if seed not in used), seeds)
    return ValidationPlan(
        race_images=min(race_images, stored_images),
        race_seeds=tuple(stored_seeds[:RACE_SEEDS]),
        images=min(stored_images, REPORT_IMAGES) if images is None else images,
        seeds=tuple(fresh),
    )


def best_predicted(
    priced: PricedSpace, outcome: SearchOutcome, budgets: Sequence[float], stored: Sequence[Scored | None] | None = None
) -> list[Winner]:
    """The winners of a search, which nothing has measured; perhaps with stored scores of baselines."""
    return [
        _winner(priced, budget, outcome.winners[row], float(outcome.predicted[row]))
        if stored is None
        else _winner(priced, budget, outcome.winners[row], float(outcome.predicted[row])).model_copy(
            update={"baseline": stored[row]}
        )
        for row, budget in enumerate(budgets)
    ]


def predicted_only(benchmark: Benchmark, outcome: SearchOutcome, budgets: Sequence[float]) -> list[Winner]:
    """The winners without sampling anything; the baselines have their stored scores."""
    best = [benchmark.best_baseline(budget) for budget in budgets]
    stored = [None if one is None else _scored(benchmark, _of_baseline(one), one.scores) for one in best]
    priced = PricedSpace(benchmark.space, benchmark.latency)
    return [
        winner.model_copy(update={"kinds": _kinds(benchmark, winner.budget)})
        for winner in best_predicted(priced, outcome, budgets, stored)
    ]


def fields_of(
    benchmark: Benchmark,
    outcome: SearchOutcome,
    budgets: Sequence[float],
    train: ScheduleDataset,
    top: int,
    best: int = LABELS,
) -> list[Field]:
    """Who races under each budget."""
    latency = benchmark.space.latency(train.X, benchmark.latency)
    order = np.argsort(train.y, kind="stable")
    racing = []
    for budget, population in zip(budgets, outcome.populations, strict=True):
        own = [Candidate(f"candidate {rank}", SEARCH, _tuple(x)) for rank, x in enumerate(population[:top], start=1)]
        rows = [row for row in order[latency[order] <= budget][:best]]
        labels = [Candidate(f"training schedule {row}", TRAINING, _tuple(train.X[row])) for row in rows]
        stored = benchmark.best_baseline(budget)
        if budget in benchmark.budgets and stored is not None:
            racing.append(Field(own, labels, [_of_baseline(stored)], _kinds(benchmark, budget)))
        else:
            racing.append(Field(own, labels, _proposed(benchmark, budget), _kinds(benchmark, budget)))
    return racing


def choose(
    benchmark: Benchmark,
    fields: Sequence[Field],
    plan: ValidationPlan,
    *,
    device: str,
    progress: Step,
    run: RunFolder,
) -> list[Chosen]:
    """Races the candidates under each budget on the noise that chooses.

    The search's own candidates and the training schedules race together; the best of the own ones, which judges
    the predictor, is who came farthest of them. Where the benchmark does not list the budget, the baseline is chosen
    by a race of its own. The budget's winner, which is what a user wants, is the baseline where its score in
    the last round is lower than that of the best of the others.
    """
    groups = [group for field in fields for group in (field.own + field.labels, field.baselines)]
    everyone = [one for group in groups for one in group]
    canonical = benchmark.space.canonical(np.array([one.schedule for one in everyone]))
    unique, row_of = np.unique(canonical, axis=0, return_inverse=True)
    rows = iter(row_of.reshape(-1).tolist())
    numbered = [[next(rows) for _ in group] for group in groups]
    images = plan.race_images * len(plan.race_seeds)
    contest = run.contest(
        unique, lambda: benchmark.contest(unique, images=plan.race_images, seeds=plan.race_seeds, device=device)
    )
    ranked, scores = race(contest, numbered, images, progress)

    def ordered(number: int) -> list[Candidate]:
        return [groups[number][numbered[number].index(row)] for row in ranked[number]]

    chosen: list[Chosen] = []
    for at in range(len(fields)):
        racers, baselines = ordered(2 * at), ordered(2 * at + 1)
        own = next(one for one in racers if one.source == SEARCH)  # a search finds a schedule within its budget
        baseline = baselines[0] if baselines else None
        ahead = baseline is not None and scores[ranked[2 * at + 1][0]] < scores[ranked[2 * at][0]]
        chosen.append((baseline if ahead and baseline is not None else racers[0], own, baseline))
    return chosen


def validate(
    benchmark: Benchmark,
    fields: Sequence[Field],
    chosen: Sequence[Chosen],
    budgets: Sequence[float],
    plan: ValidationPlan,
    predict: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    *,
    device: str,
    progress: Step,
    run: RunFolder,
) -> SampledWinners:
    """Samples who won under each budget, and the baselines, from noise that nothing was chosen by.

    Args:
        benchmark: samples and scores.
        fields: who raced, a budget each.
        chosen: who won.
        budgets: ms.
        plan: on which noise.
        predict: the predictor's scores of schedules.
        device: where to sample.
        progress: of the sampling.
        run: keeps the scores of each seed.
    """
    everyone = [one for winner, own, baseline in chosen for one in (winner, own, baseline) if one is not None]
    space = benchmark.space
    # Two budgets may share a winner or a baseline: every schedule is sampled once.
    canonical = space.canonical(np.array([one.schedule for one in everyone]))
    unique, row_of = np.unique(canonical, axis=0, return_inverse=True)
    rows = {one.schedule: int(row) for one, row in zip(everyone, row_of.reshape(-1), strict=True)}
    kept = None if benchmark.report is None else benchmark.report.of(space, unique, plan.images, plan.seeds)
    sampled = run.validated(
        benchmark, unique, images=plan.images, seeds=plan.seeds, device=device, progress=progress, known=kept
    )

    def scored(one: Candidate | None) -> Scored | None:
        return None if one is None else _scored(benchmark, one, sampled.scores[rows[one.schedule]])

    priced = PricedSpace(space, benchmark.latency)
    predicted = predict(np.array([winner.schedule for winner, _, _ in chosen]))
    winners = [
        _winner(priced, budget, winner.schedule, float(score)).model_copy(
            update={
                "measured": scored(winner),
                "measured_latency": float(sampled.latency_ms[rows[winner.schedule]]),
                "own": scored(own),
                "baseline": scored(baseline),
                "kinds": field.kinds,
                "raced": len(field.own) + len(field.labels),
            }
        )
        for budget, field, score, (winner, own, baseline) in zip(budgets, fields, predicted, chosen, strict=True)
    ]

    def images(one: Candidate) -> NDArray[np.float32]:
        return np.asarray(sampled.images[rows[one.schedule]])

    return SampledWinners(
        winners,
        [images(winner) for winner, _, _ in chosen],
        [None if baseline is None else images(baseline) for _, _, baseline in chosen],
    )


def _kinds(benchmark: Benchmark, budget: float) -> dict[str, Scored]:
    """The best stored baseline of each strategy within a budget, with its stored scores."""
    within = [baseline for baseline in benchmark.baselines if baseline.latency <= budget]
    best = {}
    for kind in sorted({baseline.kind for baseline in within}):
        one = min((baseline for baseline in within if baseline.kind == kind), key=lambda baseline: baseline.mean)
        best[kind] = _scored(benchmark, _of_baseline(one), one.scores)
    return best


def _proposed(benchmark: Benchmark, budget: float) -> list[Candidate]:
    """What strategies propose under a budget that the benchmark does not list, and the best of what is stored."""
    from benchmarks.baselines import raced_baselines

    made = [Candidate(one.name, one.kind, _tuple(one.x)) for one in raced_baselines(benchmark, budget)]
    stored = benchmark.best_baseline(budget)
    known = {one.schedule for one in made}
    if stored is not None and _tuple(stored.schedule) not in known:
        made.append(_of_baseline(stored))
    return made


def _of_baseline(baseline: Baseline) -> Candidate:
    return Candidate(baseline.name, baseline.kind, _tuple(baseline.schedule), baseline.labels)


def _winner(priced: PricedSpace, budget: float, schedule: ArrayLike, predicted: float) -> Winner:
    x = np.asarray(schedule)[None]
    return Winner(
        budget=budget,
        schedule=_tuple(schedule),
        nfe=int(priced.space.nfe(x)[0]),
        latency=float(priced.space.latency(x, priced.latency)[0]),
        predicted=predicted,
    )


def _scored(benchmark: Benchmark, one: Candidate, scores: ArrayLike) -> Scored:
    (ms,) = benchmark.space.latency(np.array([one.schedule]), benchmark.latency)
    return Scored(
        name=one.name,
        source=one.source,
        schedule=one.schedule,
        latency=float(ms),
        scores=tuple(np.asarray(scores, dtype=float).tolist()),
        labels=one.labels,
    )


def _tuple(schedule: ArrayLike) -> tuple[int, ...]:
    return tuple(np.asarray(schedule).tolist())
