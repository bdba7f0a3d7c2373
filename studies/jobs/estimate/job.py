"""Counting what building a dataset costs, before it is started."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Self

import numpy as np

from omsdpm.dataset import ScheduleDataset
from omsdpm.dataset.designs import Setting, draw
from omsdpm.dataset.estimate import Estimate, total
from omsdpm.dataset.estimate import estimate as count
from omsdpm.dataset.recipe import Recipe, recipe_toml
from omsdpm.errors import InputError
from omsdpm.files import check_writable
from omsdpm.scoring.measurement import Measurement
from omsdpm.solvers import Schedules
from omsdpm.zoo.files import card_facts
from studies.jobs.estimate.result import EstimateResult, RoundCost
from studies.jobs.estimate.settings import EstimateSettings
from studies.records.progress import SILENT, Reporter

TIMED = 256
"""Images that the metric is timed with."""

SAMPLE = 2000
"""Schedules of a larger round that are drawn and counted; the rest is in proportion."""


def estimate(settings: EstimateSettings, reporter: Reporter = SILENT) -> EstimateResult:
    """Network evaluations and time of all that a folder's ``benchmark.toml`` asks for; samples nothing.

    Beside the rounds that is the repeat, the validated baselines and their scores for reports. Scoring is
    timed here, on a batch of noise, and so is what a process takes to load. Statistics of real images that are not
    kept yet are computed on the way, and kept for the build.

    Raises:
        InputError: the folder cannot be used, has no rounds, or a zoo that was never profiled.
    """
    recipe = Recipe.read(settings.folder)
    if settings.output is not None:
        check_writable(settings.output)
    if not recipe.rounds:
        raise InputError(f"{settings.folder}/benchmark.toml has no [[round]]: there is nothing to estimate")
    m = recipe.measurement
    empty = ScheduleDataset(m.space, np.empty((0, m.length), dtype=np.int64), np.empty(0))
    costs: dict[str, Estimate] = {}
    with reporter.part("Counting") as step:
        for done, entry in enumerate(recipe.rounds, start=1):
            design = "stratified" if entry.design == "refine" else entry.design
            n = m.space.cardinality if design == "exhaustive" else entry.n
            setting = Setting(m.space, m.latency, empty, entry.window, entry.options)
            X = draw(design, setting, min(n, SAMPLE), np.random.default_rng(settings.seed))
            cost = count(X, m, settings.shard_size)
            costs[entry.name] = cost if len(X) == n else cost.scaled(n)
            step(done, len(recipe.rounds))
    if settings.schedules is not None:
        planned = sum(cost.schedules for cost in costs.values())
        costs = {
            name: cost.scaled(round(cost.schedules * settings.schedules / planned)) for name, cost in costs.items()
        }
    parts = [Part(name, cost, m.images) for name, cost in costs.items()]
    if settings.schedules is None:
        parts += rest_of(settings, m, total(costs.values()))
    scoring = None
    try:
        with reporter.part("Timing the metric") as step:
            scoring = Scoring.timed(m, step)
    except InputError as error:
        reporter.note(f"scoring is left out: {error}")
    everything, card = total(part.cost for part in parts), m.latency_card
    seconds = None if scoring is None else sum(scoring.of(part) for part in parts)
    result = EstimateResult(
        settings=settings,
        rounds=tuple(
            RoundCost(name=part.name, scoring=None if scoring is None else scoring.of(part), **asdict(part.cost))
            for part in parts
        ),
        total=RoundCost(name="all", scoring=seconds, **asdict(everything)),
        loading=None if scoring is None else scoring.loading,
        images=m.images,
        device=card_facts(card)[1],
        threads=str(card.get("threads", "?")),
        devices=None
        if settings.deadline is None
        else replace(everything, seconds=everything.seconds + (seconds or 0.0)).devices(3600 * settings.deadline),
    )
    if settings.output is not None:
        result.write(settings.output)
    return result


@dataclass(frozen=True)
class Part:
    """What is sampled for one purpose, and how many images each of its schedules gets."""

    name: str
    cost: Estimate
    images: int


def rest_of(settings: EstimateSettings, measurement: Measurement, rounds: Estimate) -> list[Part]:
    """What a build samples beside the rounds: repeat, baselines, strategies' labels and choices, and for reports.

    Which of the baselines will be the best is not known yet: for reports the dearest under each budget count. Nor is
    what strategies measure, where it depends on the labels: they are asked with made-up ones.
    """
    table = recipe_toml(settings.folder)
    parts = []
    if "repeat" in table:
        parts.append(Part("repeat", rounds.scaled(int(table["repeat"]["n"])), measurement.images))
    if "budgets" not in table:
        return parts
    from benchmarks import Benchmark
    from benchmarks.baselines import all_baselines
    from benchmarks.choosing import would_measure
    from benchmarks.report import REPORT_IMAGES, REPORT_SEEDS

    benchmark = Benchmark.read(settings.folder)
    space, latency = benchmark.space, benchmark.latency
    named = all_baselines(space, latency, benchmark.budgets, noise=benchmark.noise, options=benchmark.options)
    X = np.array([baseline.x for baseline in named])
    images, seeds = benchmark.validation
    parts.append(Part("baselines", _of_seeds(X, measurement, images, len(seeds), 30), images))
    labels, choices = would_measure(benchmark)
    if len(labels):
        parts.append(Part("labels of strategies", count(labels, measurement, 30), measurement.images))
    choices = choices[~_among(space.canonical(choices), space.canonical(X))] if len(choices) else choices
    if len(choices):
        parts.append(Part("choices of strategies", _of_seeds(choices, measurement, images, len(seeds), 30), images))
    ms = space.latency(X, latency)
    fitting = [np.flatnonzero(ms <= budget) for budget in benchmark.budgets]
    dearest = sorted({int(rows[ms[rows].argmax()]) for rows in fitting if len(rows)})
    images = min(images, REPORT_IMAGES)
    used = {measurement.seed, *seeds}
    kept = [seed for seed in REPORT_SEEDS if seed not in used]
    parts.append(Part("report", _of_seeds(X[dearest], measurement, images, len(kept), 1), images))
    return parts


def _among(X: Schedules, known: Schedules) -> np.ndarray:
    """``(n, L), (m, L) -> (n,)``: rows that are among others."""
    keys = {x.tobytes() for x in known}
    return np.array([x.tobytes() in keys for x in X], dtype=bool)


def _of_seeds(X: Schedules, measurement: Measurement, images: int, seeds: int, shard_size: int) -> Estimate:
    """The cost of schedules ``(n, L)`` from the noise of so many seeds."""
    return count(X, replace(measurement, images=images), shard_size).scaled(seeds * len(X))


@dataclass(frozen=True)
class Scoring:
    """Seconds that the metric takes here.

    Attributes:
        image: of an image.
        schedule: of a schedule once its images are counted.
        loading: until networks, metric and real images are there; statistics of these are kept for the build.
        reloading: the same for a process that had them before.
    """

    image: float
    schedule: float
    loading: float
    reloading: float

    @classmethod
    def timed(cls, measurement: Measurement, progress: Callable[[int, int], None]) -> Self:
        """Times the metric on a batch of noise.

        Raises:
            InputError: the zoo, the metric or its reference cannot be used.
        """
        clock = time.perf_counter
        begun = clock()
        meter = measurement.open("cpu")
        opened = clock()
        meter.prepare(progress)  # computes what is kept for the next process
        prepared = clock()
        again = measurement.open("cpu")
        opened_again = clock()
        again.prepare()
        reloading = clock() - prepared
        loading = opened - begun + clock() - opened_again
        images = min(TIMED, measurement.images)
        start = next(iter(replace(meter.sampler, batch_size=images).starts(images, 0)))
        noise = meter.zoo.decode(start.x_T)
        with meter.sampler.scored_from(meter.metric, start, 0):
            meter.metric.fresh().update(noise, 0)  # the first time takes longer
            taken = meter.metric.fresh()
            scoring = clock()
            taken.update(noise, 0)
            counted = clock()
            meter.metric.score(taken)
            scored = clock()
        return cls((counted - scoring) / images, scored - counted, loading, reloading)

    def of(self, part: Part) -> float:
        """Seconds for a part."""
        return part.cost.schedules * (self.schedule + part.images * self.image)
