"""What a search of somebody's zoo will cost, before it is started: ``search --estimate``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from omsdpm.dataset.estimate import Estimate, total
from omsdpm.dataset.estimate import estimate as count
from omsdpm.errors import InputError
from omsdpm.solvers import Schedules
from omsdpm.zoo.files import card_batch_size, card_facts
from studies.jobs.estimate.job import Part, Scoring
from studies.jobs.estimate.result import RoundCost
from studies.jobs.search.settings import SearchSettings
from studies.records.progress import SILENT, Reporter
from studies.records.result import Result

if TYPE_CHECKING:
    from benchmarks import Benchmark
    from studies.jobs.run.winners import ValidationPlan


class SearchEstimate(Result):
    """The cost of each part of a search.

    Attributes:
        parts: what is sampled, in the order of the search.
        total: all of them together.
        loading: seconds that networks, metric and real images take to load, all times together; ``None`` where they
            cannot be loaded here.
        thinking: seconds that fits and searches on the predictor take on this machine, all rounds together.
        device, threads: what the times of sampling are for.
    """

    KIND: ClassVar[str] = "search estimate"

    settings: SearchSettings
    parts: tuple[RoundCost, ...]
    total: RoundCost
    loading: float | None
    thinking: float
    device: str
    threads: str

    @property
    def seconds(self) -> float:
        """All that is counted."""
        return self.total.seconds + (self.total.scoring or 0.0) + (self.loading or 0.0) + self.thinking


def estimate_search(settings: SearchSettings, reporter: Reporter = SILENT) -> SearchEstimate:
    """Network evaluations and time of a search; samples nothing.

    Labels are counted as schedules of the start design, and the search's own candidates as schedules that use their
    budget up; baselines are those that will race. Fits, searches and scoring are timed here, once.

    Raises:
        InputError: something in ``settings`` cannot be used.
    """
    from studies.jobs.run.settings import resolve_budgets
    from studies.jobs.run.winners import validation_plan

    benchmark = settings.open_benchmark(Path())
    budgets = resolve_budgets(settings.budgets, benchmark.latency, f"the cheapest schedule of {settings.zoo}")
    plan = validation_plan(
        benchmark, settings.validate_images, settings.seeds, settings.first_seed, settings.race_images
    )
    with reporter.part("Counting"):
        parts = _sampled(settings, benchmark, budgets, plan)
    scoring, loading = None, None
    try:
        with reporter.part("Timing the metric") as step:
            scoring = Scoring.timed(benchmark.measurement, step)
            loading = scoring.loading + scoring.reloading * (_batches(settings) + 2)  # for labels, race and report
    except InputError as error:
        reporter.note(f"scoring and loading are left out: {error}")
    with reporter.part("Timing the search"):
        thinking = _thinking(settings, benchmark, budgets)
    everything = total(part.cost for part in parts)
    seconds = None if scoring is None else sum(scoring.of(part) for part in parts)
    card = benchmark.latency_card
    return SearchEstimate(
        settings=settings,
        parts=tuple(
            RoundCost(name=part.name, scoring=None if scoring is None else scoring.of(part), **asdict(part.cost))
            for part in parts
        ),
        total=RoundCost(name="all", scoring=seconds, **asdict(everything)),
        loading=loading,
        thinking=thinking,
        device=card_facts(card)[1],
        threads=str(card.get("threads", "?")),
    )


def _batches(settings: SearchSettings) -> int:
    """Batches that labels are measured in."""
    from studies.active.loop import BATCH

    return -(-settings.labels // BATCH)


def _sampled(
    settings: SearchSettings, benchmark: Benchmark, budgets: Sequence[float], plan: ValidationPlan
) -> list[Part]:
    """What is sampled, in the order of the search."""
    from benchmarks.baselines import raced_baselines
    from studies.active.start import start_design
    from studies.jobs.run.race import rounds
    from studies.jobs.search.job import RACING_LABELS

    space, latency, m = benchmark.space, benchmark.latency, benchmark.measurement
    labels = start_design(space, latency, budgets, settings.labels, np.random.default_rng(settings.seed))
    parts = [Part("labels", count(labels, m, shard_size=10).scaled(settings.labels), m.images)]
    groups: list[_Group] = []
    for budget in budgets:
        baselines = np.array([one.x for one in raced_baselines(benchmark, budget)])
        dearest = count(_dearest(baselines, space.latency(baselines, latency)), m, 1)
        own = settings.top + RACING_LABELS
        groups.append(_Group(own, dearest.times(own), dearest))
        groups.append(_Group(len(baselines), count(baselines, m, len(baselines)), dearest))
    sizes = rounds(max(group.rows for group in groups), plan.race_images * len(plan.race_seeds))
    parts.append(Part("race", total(group.raced(sizes, m.images) for group in groups), m.images))
    # Of each budget a winner and a baseline, which use it up; two budgets may share one.
    reported = total(group.dearest for group in groups)
    parts.append(Part("report", reported.times(plan.images * len(plan.seeds) / m.images), m.images))
    # Latencies of this device are measured for the report: each member seven times on the table's batch.
    turns = 7 * card_batch_size(benchmark.latency_card) / m.images
    alone = [_alone(benchmark, member) for member in range(1, space.num_models + 1)]
    evaluated = total(count(x, m, 1) for x in alone).times(turns)
    parts.append(Part("latencies", replace(evaluated, schedules=0), 0))  # evaluations that nothing is scored of
    return parts


@dataclass(frozen=True)
class _Group:
    """Schedules that race against each other (:func:`studies.jobs.run.race.race`).

    Attributes:
        rows: how many.
        whole: cost of all, which share beginnings.
        dearest: cost of one that uses the budget up.
    """

    rows: int
    whole: Estimate
    dearest: Estimate

    def raced(self, sizes: Sequence[int], images: int) -> Estimate:
        """Cost of the race: after the first round those are left that use the budget up, and share little.

        Args:
            sizes: images of a schedule after each round.
            images: that the costs are of.
        """
        from studies.jobs.run.race import turns

        (_, first), *later = turns(self.rows, sizes)
        return total(
            [self.whole.times(first / images), *(self.dearest.times(rows * more / images) for rows, more in later)]
        )


def _dearest(X: Schedules, ms: np.ndarray) -> Schedules:
    return X[[int(ms.argmax())]]


def _alone(benchmark: Benchmark, member: int) -> Schedules:
    x = np.zeros((1, benchmark.space.length), dtype=np.int64)
    x[0, benchmark.space.even_slots(1)] = member
    return x


def _thinking(settings: SearchSettings, benchmark: Benchmark, budgets: Sequence[float]) -> float:
    """Seconds of all fits and searches on the predictor: one of each is timed, on half of the labels."""
    from studies.active.loop import BATCH, BETAS, EVALUATIONS, START
    from studies.active.start import start_design
    from studies.jobs.naming import optimizer_of, predictor_of
    from studies.jobs.run.search import PricedSpace, search
    from studies.pessimist import Pessimist

    rng = np.random.default_rng(settings.seed)
    X = start_design(benchmark.space, benchmark.latency, budgets, max(START, settings.labels // 2), rng)
    # Scores that fall with the cost, as scores do; it is the time that counts.
    scores = 1.0 / benchmark.space.latency(X, benchmark.latency) + 0.01 * rng.random(len(X))
    begun = time.perf_counter()
    predictor = predictor_of(settings.predictor, benchmark, settings.seed).fit(X, scores)
    fitted = time.perf_counter()
    search(
        optimizer_of(settings.optimizer), PricedSpace(benchmark.space, benchmark.latency),
        Pessimist(predictor, settings.kappa), budgets,
        evaluations=EVALUATIONS, seed=settings.seed, progress=lambda done, total: None,
    )  # fmt: skip
    searched = time.perf_counter() - fitted
    rounds = max(0, -(-(settings.labels - START) // BATCH))
    fits = (rounds + 1) * (fitted - begun)
    return fits + searched * (rounds * len(BETAS) + settings.evaluations / EVALUATIONS)
