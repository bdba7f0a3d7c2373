"""The best baselines' scores on the noise that winners are reported on, so that a run samples its own alone.

Nothing is chosen by them: which baseline is the best is decided by its validated scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError

if TYPE_CHECKING:
    from benchmarks.problem import Benchmark
    from omsdpm.dataset.build import Workers
    from omsdpm.solvers import ScheduleSpace

REPORT_FILE = "report.parquet"
REPORT_IMAGES = 1000
"""Images from each seed, where the baselines were not validated with fewer."""

REPORT_SEEDS = tuple(range(3001, 3011))
"""Seeds that are kept; a run reports on the first of them."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ReportScores:
    """Scores that are kept.

    Attributes:
        images: from each seed.
        seeds: ``(s,)``.
        scores: of a canonical schedule, by its bytes, ``(s,)``.
    """

    images: int
    seeds: tuple[int, ...]
    scores: dict[bytes, NDArray[np.float64]]

    def of(self, space: ScheduleSpace, X: ArrayLike, images: int, seeds: tuple[int, ...]) -> NDArray[np.float64]:
        """``(n, L) -> (n, s)`` scores from those seeds; NaN where they are not kept, or of other images."""
        rows = space.canonical(space.check(np.asarray(X)))
        scores = np.full((len(rows), len(seeds)), np.nan)
        if images == self.images and set(seeds) <= set(self.seeds):
            columns = [self.seeds.index(seed) for seed in seeds]
            for row, x in enumerate(rows):
                if (kept := self.scores.get(x.tobytes())) is not None:
                    scores[row] = kept[columns]
        return scores


def read_report(path: Path, space: ScheduleSpace) -> ReportScores:
    """Scores from their Parquet file: a schedule, images, seeds and scores a row.

    Raises:
        InputError: not such a file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).to_pylist()
        images, seeds = {row["images"] for row in rows}, {tuple(row["seeds"]) for row in rows}
        (of,), (numbers,) = images, seeds
        X = space.canonical(space.check(np.array([row["schedule"] for row in rows])))
        scores = np.array([row["scores"] for row in rows], dtype=float)
        if scores.shape != (len(rows), len(numbers)) or not np.isfinite(scores).all():
            raise ValueError(f"scores of shape {scores.shape} for {len(numbers)} seeds")
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, InputError) as error:
        line = " ".join(str(error).split())[:200]
        raise InputError(f"{path} does not hold baselines' report scores: {line}; remove it and build again") from error
    return ReportScores(int(of), numbers, {x.tobytes(): y for x, y in zip(X, scores, strict=True)})


def best_baselines(benchmark: Benchmark) -> NDArray[np.int64]:
    """Canonical schedules ``(m, L)`` of the best validated baseline under each budget, each once."""
    best = [benchmark.best_baseline(budget) for budget in benchmark.budgets]
    X = [baseline.schedule for baseline in best if baseline is not None]
    return (
        np.unique(benchmark.space.canonical(np.array(X)), axis=0) if X else np.empty((0, benchmark.space.length), int)
    )


def build_report(
    benchmark: Benchmark, workers: Workers, *, shard_size: int = 1, progress: Progress | None = None
) -> ReportScores | None:
    """Samples the best baselines on the noise of reports and keeps their scores; resumable.

    Those that the folder has are not sampled again; ``None`` without baselines.

    Args:
        benchmark: with validated baselines.
        workers: where schedules are sampled.
        shard_size: schedules a shard.
        progress: told ``(what, done, total)``.

    Raises:
        InputError: the folder has scores of another measurement.
    """
    from benchmarks.building import scores_on_seeds
    from omsdpm.dataset.workfolder import put_away
    from omsdpm.files import locked
    from omsdpm.scoring.identity import check_measured, remember_measured, validation_identity

    X = best_baselines(benchmark)
    if not len(X):
        return None
    path = benchmark.folder / REPORT_FILE
    images = min(REPORT_IMAGES, benchmark.validation_images)
    used = {benchmark.measurement.seed, *benchmark.validation_seeds}
    seeds = tuple(seed for seed in REPORT_SEEDS if seed not in used)
    measured_with = validation_identity(benchmark.measurement, images, seeds)
    work = benchmark.folder / "build" / "report"
    kept = read_report(path, benchmark.space).scores if path.exists() else {}
    if path.exists():
        check_measured(benchmark.folder, path.stem, measured_with)
    lacking = np.array([x for x in X if x.tobytes() not in kept])
    if not len(lacking):
        put_away(work)  # of a build that was killed at its end
        return read_report(path, benchmark.space)

    def merged() -> bool:
        return path.exists() and {x.tobytes() for x in lacking} <= set(read_report(path, benchmark.space).scores)

    scores = scores_on_seeds(benchmark, lacking, images, seeds, workers, path.stem, merged, work, shard_size, progress)
    if scores is None:
        return read_report(path, benchmark.space)
    remember_measured(benchmark.folder, path.stem, measured_with)
    with locked(benchmark.folder / "build" / "merge.lock"):
        kept = read_report(path, benchmark.space).scores if path.exists() else {}
        kept |= {x.tobytes(): y for x, y in zip(lacking, scores, strict=True)}
        every = np.array([np.frombuffer(key, dtype=np.int64) for key in kept])
        _write(path, every, images, seeds, np.array(list(kept.values())))
    put_away(work)
    return read_report(path, benchmark.space)


def _write(path: Path, X: NDArray[np.int64], images: int, seeds: tuple[int, ...], scores: NDArray[np.float64]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from omsdpm.files import replacing

    table = pa.table(
        {
            "schedule": pa.array(list(X.astype(np.int16)), type=pa.list_(pa.int16())),
            "images": pa.array([images] * len(X), type=pa.int32()),
            "seeds": pa.array([list(seeds)] * len(X), type=pa.list_(pa.int64())),
            "scores": pa.array(list(scores), type=pa.list_(pa.float64())),
        }
    )
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
