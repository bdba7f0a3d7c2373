"""A final population sampled for real: all with few images, the best with many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from omsdpm.devices import resolve_device
from omsdpm.errors import InputError
from omsdpm.files import check_writable
from omsdpm.plugins import Named
from omsdpm.released import infer_solver, read_schedules
from omsdpm.sampling import Count
from omsdpm.scoring.measurement import usual_metric
from omsdpm.seeds import after
from omsdpm.solvers import space_on
from omsdpm.zoo.opening import open_zoo
from studies.jobs.naming import benchmark_of
from studies.jobs.sampling import Scorer, check_reference, metric_of, open_sampler
from studies.jobs.validate.result import ScoredSchedule, ValidateResult
from studies.jobs.validate.settings import ValidateSettings
from studies.records.environment import environment
from studies.records.progress import SILENT, Reporter

if TYPE_CHECKING:
    from benchmarks import Benchmark
    from omsdpm.zoo import ModelZoo


def validate(settings: ValidateSettings, reporter: Reporter = SILENT) -> ValidateResult:
    """Scores the first schedules of a population from common noise, and the best of them again from fresh noise.

    Raises:
        InputError: something in ``settings`` cannot be used; told before anything is sampled.
    """
    if settings.output is not None:
        check_writable(settings.output)
    benchmark = None if settings.benchmark is None else _checked(benchmark_of(settings.benchmark), settings)
    device = resolve_device(settings.device)
    X = read_schedules(settings.population)[: settings.top]
    ground = _of_zoo(settings, device) if benchmark is None else _of_benchmark(benchmark, settings, device)
    solver = ground.solver
    if solver is None:
        solver = infer_solver(X)
        reporter.note(f"solver: {solver}, by the schedules' slots; --solver says otherwise")
    check_reference(ground.metric, ground.stats)
    zoo = ground.zoo
    space = space_on(zoo.noise, solver, len(zoo.members), X.shape[1])
    try:
        X = space.check(X)
    except InputError as error:
        raise InputError(f"{settings.population}: {error}") from error
    sampler = open_sampler(settings.model_copy(update={"spacing": ground.spacing}), zoo, space)
    sampler.check(X, max(settings.num_images, settings.final_images))
    scorer = Scorer(ground.metric, ground.stats, zoo)
    count = Count()
    with reporter.part(f"Sampling {len(X)} schedules, {settings.num_images} images each") as step:
        scores = scorer.score(sampler, X, settings.num_images, seed=settings.seed, progress=step, count=count)
    nfe = space.nfe(X)
    latency = None if zoo.latency_card is None else space.latency(X, zoo.latency)
    schedules = tuple(
        ScoredSchedule(
            row=row,
            schedule=tuple(x.tolist()),
            nfe=int(nfe[row]),
            latency_ms=None if latency is None else float(latency[row]),
            score=float(scores[row]),
            images=settings.num_images,
            seed=settings.seed,
        )
        for row, x in enumerate(X)
    )
    best = min(schedules, key=lambda scored: scored.score)
    if settings.final_images:
        images, seed = settings.final_images, after(settings.seed)
        with reporter.part(f"Sampling the best again, {images} images") as step:
            (score,) = scorer.score(sampler, X[[best.row]], images, seed=seed, progress=step).tolist()
        best = best.model_copy(update={"score": score, "images": images, "seed": seed})
    result = ValidateResult(
        settings=settings,
        metric=ground.metric,
        solver=solver,
        schedules=schedules,
        best=best,
        evaluations=count.evaluations,
        one_by_one=count.one_by_one,
        environment=environment(device),
    )
    if settings.output is not None:
        try:
            result.write(settings.output)
        except InputError:  # scores took hours, and are not lost
            for scored in result.order:
                reporter.note(f"row {scored.row}: {ground.metric} {scored.score:.6g}, {scored.images} images")
            reporter.note(f"best, row {best.row}: {ground.metric} {best.score:.6g}, {best.images} images")
            raise
    return result


@dataclass(frozen=True)
class _Ground:
    """What a population is sampled on; ``solver`` is ``None`` where the schedules are to tell it."""

    zoo: ModelZoo
    solver: str | None
    spacing: str
    metric: str
    stats: str | None


def _of_zoo(settings: ValidateSettings, device: str) -> _Ground:
    assert settings.zoo is not None  # ValidateSettings has seen to it
    zoo = open_zoo(settings.zoo, device, settings.latency)
    metric = settings.metric or usual_metric(zoo.shape, settings.stats)
    return _Ground(zoo, settings.solver, settings.spacing, metric, settings.stats)


def _of_benchmark(benchmark: Benchmark, settings: ValidateSettings, device: str) -> _Ground:
    m = benchmark.measurement
    metric = settings.metric or metric_of(m)
    return _Ground(benchmark.zoo(device), m.solver, m.spacing, metric, settings.stats or m.reference)


def _checked(benchmark: Benchmark, settings: ValidateSettings) -> Benchmark:
    """The benchmark, with the metric's parameters that were given.

    Raises:
        InputError: an option that says something else than the benchmark, or the dataset's own noise.
    """
    m, name = benchmark.measurement, benchmark.name
    if settings.solver not in (None, m.solver):
        raise InputError(f"--solver {settings.solver}: benchmark {name} has {m.solver}; leave --solver out")
    if settings.metric is not None:
        if Named.parse(settings.metric).name != Named.parse(m.metric).name:
            raise InputError(f"--metric {settings.metric}: benchmark {name} has {m.metric}; leave --metric out")
        benchmark = benchmark.with_metric(settings.metric)
    used = (settings.seed, after(settings.seed)) if settings.final_images else (settings.seed,)
    if settings.noise is None and m.seed in used:
        raise InputError(f"seed {m.seed} is the noise of benchmark {name}'s dataset: give another --seed")
    return benchmark
