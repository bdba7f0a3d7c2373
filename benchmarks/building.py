"""Building a benchmark's folder: its validated baselines and its repeat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.baselines import all_baselines
from benchmarks.problem import REPEAT_FILE, Benchmark
from benchmarks.stored import BASELINES_FILE, Baseline, read_baselines, write_baselines
from omsdpm.dataset import ScheduleDataset
from omsdpm.dataset.build import MergedElsewhereError, Workers, measure_sharded
from omsdpm.dataset.shards import scores_of
from omsdpm.dataset.workfolder import own_folder, put_away
from omsdpm.scoring.identity import check_measured, identity, remember_measured, validation_identity

Progress = Callable[[str, int, int], None]


def build_baselines(
    benchmark: Benchmark, workers: Workers, *, shard_size: int = 30, progress: Progress | None = None
) -> list[Baseline]:
    """Validates every baseline with the benchmark's fresh noise and writes them; resumable.

    Does nothing if the folder has them.

    Args:
        benchmark: a benchmark with budgets.
        workers: where schedules are sampled.
        shard_size: schedules a shard.
        progress: told ``(what, done, total)``.

    Raises:
        InputError: the folder has baselines of another measurement.
    """
    path = benchmark.folder / BASELINES_FILE
    images, seeds = benchmark.validation
    measured_with = validation_identity(benchmark.measurement, images, seeds)
    if path.exists():
        check_measured(benchmark.folder, path.stem, measured_with)
        put_away(benchmark.folder / "build" / "baselines")  # of a build that was killed at their end
        return benchmark.baselines
    named = all_baselines(
        benchmark.space, benchmark.latency, benchmark.budgets, noise=benchmark.noise, options=benchmark.options
    )
    X = np.array([baseline.x for baseline in named])
    work = benchmark.folder / "build" / "baselines"
    scores = scores_on_seeds(benchmark, X, images, seeds, workers, path.stem, path.exists, work, shard_size, progress)
    if scores is None:
        return read_baselines(path, benchmark.space, benchmark.latency)
    ms = benchmark.space.latency(X, benchmark.latency)
    baselines = [Baseline(b.kind, b.name, b.x, float(cost), y) for b, cost, y in zip(named, ms, scores, strict=True)]
    remember_measured(benchmark.folder, path.stem, measured_with)
    write_baselines(path, baselines)
    put_away(work)
    return baselines


def scores_on_seeds(
    benchmark: Benchmark,
    X: NDArray[np.int64],
    images: int,
    seeds: Sequence[int],
    workers: Workers,
    what: str,
    merged: Callable[[], bool],
    work: Path,
    shard_size: int,
    progress: Progress | None,
) -> NDArray[np.float64] | None:
    """Scores ``(n, s)`` of schedules ``(n, L)`` on the noise of each seed; resumable.

    Args:
        benchmark: says how they are measured.
        X: the schedules.
        images: from each seed.
        seeds: ``(s,)``.
        workers: where schedules are sampled.
        what: they are of, for the progress.
        merged: whether another build has written them meanwhile.
        work: folder for what is measured so far.
        shard_size: schedules a shard.
        progress: told ``(what, done, total)``.

    Returns:
        ``None`` where another build has written them.
    """
    own_folder(work)
    scores = np.empty((len(X), len(seeds)))
    with workers.open() as pool:
        for column, seed in enumerate(seeds):
            measurement = benchmark.measurement.with_noise(images=images, seed=seed)

            def tell(done: int, seed: int = seed) -> None:
                if progress is not None:
                    progress(f"{what}, seed {seed}", done, len(X))

            try:
                measured = measure_sharded(measurement, X, work / str(seed), pool, shard_size, tell, merged)
            except MergedElsewhereError:
                put_away(work)
                return None
            scores[:, column] = scores_of(measured)
    return scores


def build_repeat(
    benchmark: Benchmark, workers: Workers, *, shard_size: int = 50, progress: Progress | None = None
) -> ScheduleDataset | None:
    """Measures a random sample of the dataset again from independent noise; resumable.

    What ``[repeat]`` of ``benchmark.toml`` asks for, ``n`` schedules with another ``seed``: how
    much two scores differ by the noise alone. Does nothing if the folder has it, or if
    nothing is asked for.

    Raises:
        InputError: the folder has a repeat of another measurement.
    """
    wanted = benchmark.table.get("repeat")
    if wanted is None:
        return benchmark.repeat
    first = benchmark.measurement
    measurement = first.with_noise(images=first.images, seed=int(wanted["seed"]))
    path = benchmark.folder / REPEAT_FILE
    measured_with = identity(measurement)
    if path.exists():
        check_measured(benchmark.folder, path.stem, measured_with)
        put_away(benchmark.folder / "build" / "repeat")
        return benchmark.repeat
    rng = np.random.default_rng(measurement.seed)
    rows = np.sort(rng.permutation(len(benchmark.dataset))[: int(wanted["n"])])
    sample = benchmark.dataset[rows]
    work = benchmark.folder / "build" / "repeat"
    own_folder(work)

    def tell(done: int) -> None:
        if progress is not None:
            progress("repeat", done, len(sample))

    with workers.open() as pool:
        try:
            measured = measure_sharded(measurement, sample.X, work, pool, shard_size, tell, path.exists)
        except MergedElsewhereError:
            put_away(work)
            return ScheduleDataset.read(path)
    extra = {"images": measurement.images, "seed": measurement.seed}
    repeat = ScheduleDataset(
        sample.space, sample.X, scores_of(measured), sample.split, sample.design, sample.metric, extra
    )
    remember_measured(benchmark.folder, path.stem, measured_with)
    repeat.write(path)
    put_away(work)
    return repeat
