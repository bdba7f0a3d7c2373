"""Rows of a leaderboard, sampled again."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

from omsdpm.devices import resolve_device
from omsdpm.errors import InputError
from omsdpm.files import check_writable
from studies.jobs.leaderboard.rows import BoardRow, read_rows
from studies.jobs.leaderboard_verify.result import CheckedRow, VerifyResult
from studies.jobs.leaderboard_verify.settings import VerifySettings
from studies.records.progress import SILENT, Reporter

if TYPE_CHECKING:
    from benchmarks import Benchmark

ROUNDING = 1e-6
"""Of latencies that sum the same numbers in another order, relative."""


def verify(settings: VerifySettings, reporter: Reporter = SILENT) -> VerifyResult:
    """Samples rows of a leaderboard again.

    Rows of benchmarks that are not installed, or of other data than those have, are not drawn.

    Raises:
        InputError: no leaderboard, or none of its rows can be sampled here.
    """
    rows = read_rows([settings.file])
    if settings.output is not None:
        check_writable(settings.output)
    device = resolve_device(settings.device)
    benchmarks = {name: _installed(name) for name in {row.benchmark for row in rows}}
    obstacles = [_obstacle(row, benchmarks[row.benchmark]) for row in rows]
    possible = [row for row, obstacle in zip(rows, obstacles, strict=True) if obstacle is None]
    left_out = Counter(obstacle for obstacle in obstacles if obstacle is not None)
    if not possible:
        raise InputError(f"{settings.file}: no row can be sampled here, {'; '.join(left_out)}")
    rng = np.random.default_rng(settings.seed)
    drawn = rng.choice(len(possible), size=min(settings.rows, len(possible)), replace=False)
    sample = [possible[at] for at in sorted(drawn.tolist())]
    checked = _checked(settings, sample, benchmarks, device, reporter)
    result = VerifyResult(settings=settings, checked=tuple(checked), rows=len(rows), left_out=dict(left_out))
    if settings.output is not None:
        result.write(settings.output)
    return result


def _installed(name: str) -> Benchmark | None:
    from benchmarks import benchmark_names, load_benchmark

    return load_benchmark(name) if name in benchmark_names() else None


def _obstacle(row: BoardRow, benchmark: Benchmark | None) -> str | None:
    """Why a row cannot be sampled here."""
    if benchmark is None:
        return f"benchmark {row.benchmark} is not installed"
    if row.data_hash != benchmark.data_hash:
        return f"data {row.data_hash} of {row.benchmark} are not the installed ones, {benchmark.data_hash}"
    if row.metric != benchmark.metric:
        return f"metric {row.metric} is not {row.benchmark}'s, {benchmark.metric}"
    return None


def _checked(
    settings: VerifySettings,
    sample: list[BoardRow],
    benchmarks: dict[str, Benchmark | None],
    device: str,
    reporter: Reporter,
) -> list[CheckedRow]:
    """Rows with their new scores; those from the same noise are sampled together, as their beginnings may be shared."""
    wrong: dict[int, str] = {}
    again: dict[int, float] = {}
    groups: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for number, row in enumerate(sample):
        benchmark = benchmarks[row.benchmark]
        assert benchmark is not None  # rows without one are not drawn
        if why := _impossible(row, benchmark):
            wrong[number] = why
        else:
            groups[row.benchmark, row.images, row.validation_seed].append(number)
    for (name, images, seed), numbers in groups.items():
        benchmark = benchmarks[name]
        assert benchmark is not None
        X = np.array([sample[number].schedule for number in numbers])
        with reporter.part(f"Sampling {len(X)} of {name}, {images} images of seed {seed}") as step:
            scores = benchmark.validate(X, images=images, seeds=(seed,), device=device, progress=step).scores[:, 0]
        again |= dict(zip(numbers, scores.tolist(), strict=True))
    for number, score in again.items():
        theirs = sample[number].score
        if not (math.isclose(score, theirs, rel_tol=settings.tolerance) or (math.isnan(score) and math.isnan(theirs))):
            wrong[number] = f"differs by {100 * (theirs - score) / abs(score):+.3g} %" if score else "differs"
    return [
        CheckedRow(
            place=row.place,
            benchmark=row.benchmark,
            budget=row.budget,
            optimizer=row.optimizer,
            predictor=row.predictor,
            validation_seed=row.validation_seed,
            images=row.images,
            score=row.score,
            again=again.get(number),
            why=wrong.get(number, ""),
        )
        for number, row in enumerate(sample)
    ]


def _impossible(row: BoardRow, benchmark: Benchmark) -> str:
    """What no run of this benchmark can have written; empty where there is nothing."""
    try:
        X = benchmark.space.check(np.array([row.schedule]))
    except InputError as error:
        return str(error)
    if row.validation_seed == benchmark.measurement.seed:
        return f"seed {row.validation_seed} is the dataset's own noise"
    if row.images < 2:
        return f"{row.images} images have no score"
    latency = float(benchmark.space.latency(X, benchmark.latency)[0])
    if latency > row.budget * (1 + ROUNDING):
        return f"takes {latency:.6g} ms, more than its budget"
    return ""
