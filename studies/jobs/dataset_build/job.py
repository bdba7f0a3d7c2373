"""Measuring what a folder's ``benchmark.toml`` asks for: dataset, repeat, baselines, card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omsdpm.dataset.build import Workers, build_dataset
from omsdpm.dataset.recipe import Recipe, recipe_toml
from omsdpm.devices import resolve_device, usable_cpus
from studies.jobs.dataset_build.settings import BuildSettings
from studies.records.progress import SILENT, Reporter, Step


@dataclass(frozen=True)
class BuildResult:
    """What is in the folder now.

    Attributes:
        dataset: the Parquet file of ``schedules`` measured schedules.
        baselines: validated ones; ``None`` where the file names no budgets.
        card: of a benchmark; ``None`` where the file names no budgets.
    """

    dataset: Path
    schedules: int
    baselines: int | None = None
    card: Path | None = None


def build(settings: BuildSettings, reporter: Reporter = SILENT) -> BuildResult:
    """Measures every round that the folder's dataset does not hold yet, and what its benchmark needs.

    Raises:
        InputError: something in ``settings`` or in the folder cannot be used.
    """
    recipe = Recipe.read(settings.folder)
    if settings.metric is not None:
        recipe = replace(recipe, measurement=recipe.measurement.with_metric(settings.metric))
    # What devices there are on a cluster its workers know, not this machine.
    device, jobs = settings.device if settings.executor == "dask" else resolve_device(settings.device), settings.jobs
    if jobs is None:
        jobs = 1 if device != "cpu" else usable_cpus()
    if "budgets" in recipe_toml(settings.folder):  # what is wrong with its benchmark is told before hours of work
        from benchmarks import Benchmark
        from benchmarks.choosing import strategies_of

        begun = replace(Benchmark.read(settings.folder), measurement=recipe.measurement)
        begun.check_comparable()
        strategies_of(begun)
    workers = Workers(settings.executor, jobs, settings.threads, settings.scheduler, device)
    with reporter.part("Measuring schedules") as step:
        built = build_dataset(recipe, workers, shard_size=settings.shard_size, progress=_unlabelled(step))
    result = BuildResult(recipe.dataset, len(built))
    if "budgets" not in recipe_toml(settings.folder):
        return result
    from benchmarks import Benchmark
    from benchmarks.building import build_baselines, build_repeat
    from benchmarks.card import write_card
    from benchmarks.choosing import build_choices
    from benchmarks.report import build_report

    benchmark = replace(Benchmark.read(settings.folder), measurement=recipe.measurement)
    with reporter.part("Repeating with other noise") as step:
        build_repeat(benchmark, workers, progress=_unlabelled(step))
    with reporter.part("Validating baselines") as step:
        build_baselines(benchmark, workers, progress=_unlabelled(step))
    with reporter.part("Letting strategies choose") as step:
        build_choices(benchmark, workers, progress=_unlabelled(step))
    with reporter.part("Sampling the best baselines for reports") as step:
        build_report(replace(benchmark), workers, progress=_unlabelled(step))  # which knows what is chosen now
    whole = Benchmark.read(settings.folder)
    return replace(result, baselines=len(whole.baselines), card=write_card(whole))


def _unlabelled(step: Step) -> Callable[[str, int, int], Any]:
    return lambda label, done, total: step(done, total)
