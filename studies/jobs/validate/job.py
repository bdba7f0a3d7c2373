"""A final population sampled for real: all with few images, the best with many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from omsdpm.devices import USUAL_RUNNING, resolve_device
from omsdpm.errors import InputError
from omsdpm.files import check_writable
from omsdpm.plugins import Named
from omsdpm.released import infer_solver
from omsdpm.sampling import Count
from omsdpm.scoring.measurement import usual_metric
from omsdpm.scoring.metrics.opening import takes_reference
from omsdpm.scoring.sampler import read_noise
from omsdpm.seeds import after
from omsdpm.solvers import Schedules, ScheduleSpace, space_on
from omsdpm.zoo.opening import open_zoo
from studies.jobs.naming import benchmark_of
from studies.jobs.sampling import as_found, check_references, open_metrics, open_sampler, with_known_latency
from studies.jobs.schedules import ScheduleSource, read_source
from studies.jobs.validate.result import ScoredSchedule, ValidateResult
from studies.jobs.validate.settings import ValidateSettings
from studies.records.environment import environment
from studies.records.progress import SILENT, Reporter
from studies.records.scores import MetricScore, with_error

if TYPE_CHECKING:
    from benchmarks import Benchmark
    from omsdpm.scoring.metrics import Score
    from omsdpm.scoring.sampler import Sampler


def validate(settings: ValidateSettings, reporter: Reporter = SILENT) -> ValidateResult:
    """Scores the first schedules of a population from common noise, and the best of them again from fresh noise.

    Raises:
        InputError: something in ``settings`` cannot be used; told before anything is sampled.
    """
    if settings.output is not None:
        check_writable(settings.output)
    benchmark = None if settings.benchmark is None else _checked(benchmark_of(settings.benchmark), settings)
    device = resolve_device(settings.device)
    source = read_source(settings.population).within(settings.budget)
    if settings.budget is not None and source.populations:
        source = replace(source, X=source.populations[0])
    source = replace(source, X=source.X[: settings.top])
    X = source.X
    if benchmark is None:
        X, ground = _of_zoo(settings, source, device, reporter)
    else:
        ground = _of_benchmark(benchmark, settings, X, device)
    check_references(ground.metrics, ground.stats)
    sampler, zoo, space = ground.sampler, ground.sampler.zoo, ground.sampler.space
    X = sampler.check(X, max(settings.num_images, settings.final_images))
    metrics = open_metrics(ground.metrics, ground.stats, sampler, settings.num_images, reporter)
    count = Count()
    with reporter.part(f"Sampling {len(X)} schedules, {settings.num_images} images each") as step:
        taken = sampler.taken(X, settings.num_images, seed=settings.seed, metric=metrics, progress=step, count=count)
        scores = {row: _fields(metrics.score(images)) for row, images in taken}
    nfe = space.nfe(X)
    latency = None if zoo.latency_card is None else space.latency(X, zoo.latency)
    schedules = tuple(
        ScoredSchedule(
            row=row,
            schedule=tuple(x.tolist()),
            nfe=int(nfe[row]),
            latency_ms=None if latency is None else float(latency[row]),
            **scores[row],
            images=settings.num_images,
            seed=settings.seed,
        )
        for row, x in enumerate(X)
    )
    best = min(schedules, key=lambda scored: scored.score)
    if settings.final_images:
        images, seed = settings.final_images, after(settings.seed)
        with reporter.part(f"Sampling the best again, {images} images") as step:
            metrics = metrics.of(images)
            ((_, of_best),) = sampler.taken(X[[best.row]], images, seed=seed, metric=metrics, progress=step)
            again = _fields(metrics.score(of_best))
        best = best.model_copy(update={**again, "images": images, "seed": seed})
    result = ValidateResult(
        settings=settings,
        metric=metrics.signed[0],
        solver=space.solver,
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
            for scored in (*result.order, best):
                which = f"{'best, ' if scored is best else ''}row {scored.row}"
                for score in scored.scores(result.metric):
                    shown = with_error(score.score, score.error)
                    reporter.note(f"{which}: {score.metric} {shown}, {scored.images} images")
            raise
    return result


def _fields(scores: Sequence[Score]) -> dict[str, Any]:
    """Scores as a schedule of the result has them."""
    first, *others = scores
    return {"score": first.value, "error": first.error, "further": tuple(MetricScore.of(other) for other in others)}


@dataclass(frozen=True)
class _Ground:
    """What a population is sampled on and scored with."""

    sampler: Sampler
    metrics: tuple[str, ...]
    stats: str | None


def _of_zoo(
    settings: ValidateSettings, source: ScheduleSource, device: str, reporter: Reporter
) -> tuple[Schedules, _Ground]:
    assert settings.zoo is not None  # ValidateSettings has seen to it
    own = settings.latency is None
    zoo = open_zoo(settings.zoo, device, settings.latency, settings.running, profiled=False, lazy=True)
    zoo = with_known_latency(zoo, settings.zoo, reporter) if own else zoo
    metrics = settings.metrics or (usual_metric(zoo.image_shape, settings.stats),)
    X = source.renumbered(len(zoo.members))
    solver = settings.solver or source.solver
    if solver is None:
        solver = infer_solver(X)
        reporter.note(f"solver: {solver}, by the schedules' slots; --solver says otherwise")
    check_references(metrics, settings.stats)
    timesteps = source.timesteps if solver == source.solver else None
    space = space_on(zoo.noise, solver, len(zoo.members), X.shape[1], timesteps)
    _check_schedules(settings, X, space)
    options = source.options(solver, settings.spacing)
    sampler = open_sampler(as_found(settings, source, options, reporter), zoo, space, options)
    return X, _Ground(sampler, metrics, settings.stats)


def _of_benchmark(benchmark: Benchmark, settings: ValidateSettings, X: Schedules, device: str) -> _Ground:
    usual = settings.running == USUAL_RUNNING  # the benchmark's own precision stays
    m = benchmark.measurement if usual else benchmark.measurement.with_running(settings.running)
    _check_schedules(settings, X, m.space)
    start = None if settings.noise is None else read_noise(settings.noise)
    sampler = replace(m.open(device).sampler, batch_size=settings.batch_size, start=start)
    metrics = settings.metrics or (m.metric,)
    stats = settings.stats or (m.reference if any(map(takes_reference, metrics)) else None)
    return _Ground(sampler, metrics, stats)


def _check_schedules(settings: ValidateSettings, X: Schedules, space: ScheduleSpace) -> None:
    try:
        space.check(X)
    except InputError as error:
        raise InputError(f"{settings.population}: {error}") from error


def _checked(benchmark: Benchmark, settings: ValidateSettings) -> Benchmark:
    """The benchmark, with the metric's parameters that were given.

    Raises:
        InputError: an option that says something else than the benchmark, or the dataset's own noise.
    """
    m, name = benchmark.measurement, benchmark.name
    if settings.solver not in (None, m.solver):
        raise InputError(f"--solver {settings.solver}: benchmark {name} has {m.solver}; leave --solver out")
    for given in settings.given_conditions:
        raise InputError(f"{given}: benchmark {name} says that itself; leave it out")
    if settings.metrics:
        first, *others = settings.metrics
        if Named.parse(first).name != Named.parse(m.metric).name:
            mend = "name it first" if others else "leave --metric out, or name it first, with a comma after it"
            raise InputError(f"--metric {settings.metric}: benchmark {name} has {m.metric}; {mend}")
        benchmark = benchmark.with_metric(first)
    used = (settings.seed, after(settings.seed)) if settings.final_images else (settings.seed,)
    if settings.noise is None and m.seed in used:
        raise InputError(f"seed {m.seed} is the noise of benchmark {name}'s dataset: give another --seed")
    return benchmark
