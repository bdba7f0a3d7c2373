"""What each strategy chooses under each budget of a benchmark, validated, with the labels that it spent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stored import Baseline, finite_scores
from benchmarks.strategies.base import Schedule
from benchmarks.strategies.registry import strategy_names
from omsdpm.dataset.parquet import read_parquet, slots_of, words_of
from omsdpm.errors import InputError
from omsdpm.files import reads, replacing
from omsdpm.solvers import ScheduleSpace

CHOICES_FILE = "strategies.parquet"

LABELS_FILE = "labels.parquet"
"""In a benchmark's folder: what strategies measured beside the dataset, in the dataset's format."""

COLUMNS = ("strategy", "budget_ms", "labels", "name", "schedule", "score", "scores", "reason")


@dataclass(frozen=True, eq=False)
class Choice:
    """The schedule that a strategy chose under one budget by labels, or why it has none.

    Attributes:
        strategy: as it was asked for, ``name[param=value,...]``.
        budget: ms.
        labels: schedules that were measured to come to it: what the strategy spent, and every proposal where
            there are several to choose from.
        name: the schedule in words; ``None`` as all below where there is none.
        schedule: ``(L,)``, index 0 = image end.
        score: its label; lower is better.
        scores: validated, one a validation seed.
        reason: why there is none, in one line; ``None`` where there is one.
    """

    strategy: str
    budget: float
    labels: int
    name: str | None = None
    schedule: Schedule | None = None
    score: float | None = None
    scores: NDArray[np.float64] | None = None
    reason: str | None = None


def wanted_strategies(named: Sequence[str] | None) -> list[str]:
    """The strategies whose choices a benchmark has: those that its file names, or all that are installed."""
    return strategy_names() if named is None else list(dict.fromkeys(named))


def with_choices(
    stored: Sequence[Baseline], choices: Sequence[Choice], space: ScheduleSpace, latency: Sequence[float]
) -> list[Baseline]:
    """The stored baselines, which say what they cost in labels, and after them what else strategies chose, each once.

    A schedule that several strategies chose is the baseline of the one that spent the fewest labels.
    """
    known = [replace(one, labels=labels_of(one.kind, one.latency, choices)) for one in stored]
    seen = {space.canonical(b.schedule)[0].tobytes() for b in known}
    for choice in sorted(choices, key=lambda choice: choice.labels):  # a stable sort
        if choice.schedule is None or choice.scores is None or choice.name is None:
            continue
        key = space.canonical(choice.schedule)[0].tobytes()
        if key not in seen:
            seen.add(key)
            (ms,) = space.latency(choice.schedule, latency)
            known.append(
                Baseline(choice.strategy, choice.name, choice.schedule, float(ms), choice.scores, choice.labels)
            )
    return known


def labels_of(kind: str, latency: float, choices: Iterable[Choice]) -> int | None:
    """Labels that a strategy spends under the smallest budget that a schedule fits; ``None`` where nobody counted."""
    fitting = [choice for choice in choices if choice.strategy == kind and choice.budget >= latency]
    return min(fitting, key=lambda choice: choice.budget).labels if fitting else None


@reads("path")
def read_choices(path: Path, space: ScheduleSpace) -> list[Choice]:
    """Choices from their Parquet file.

    Raises:
        InputError: the file cannot be read, or a row is none.
    """
    table = read_parquet(path, COLUMNS, "strategies' choices")
    try:
        strategies, names, reasons = (words_of(table[column], column) for column in ("strategy", "name", "reason"))
        budgets, labels, single = (table[column].to_pylist() for column in ("budget_ms", "labels", "score"))
        chosen = [row for row, name in enumerate(names) if name]
        X = slots_of(table["schedule"].take(chosen), space.length) if chosen else np.zeros((0, space.length), int)
        X = space.check(X) if len(X) else X
        schedules = dict(zip(chosen, X, strict=True))
        scores = dict(zip(chosen, finite_scores(table["scores"].take(chosen)) if chosen else [], strict=True))
        for row, strategy in enumerate(strategies):
            if not strategy or bool(names[row]) == bool(reasons[row]):
                raise InputError(f"row {row} lacks its strategy, or has not one of a schedule and a reason")
            _check_numbers(row, budgets[row], labels[row], single[row] if names[row] else 0.0)
    except InputError as error:
        raise InputError(f"strategies' choices {path}: {error}; remove it and build again") from error
    return [
        Choice(
            strategy=strategies[row],
            budget=float(budgets[row]),
            labels=int(labels[row]),
            name=names[row] or None,
            schedule=schedules.get(row),
            score=single[row] if row in schedules else None,
            scores=scores.get(row),
            reason=reasons[row] or None,
        )
        for row in range(len(strategies))
    ]


def _check_numbers(row: int, budget: Any, labels: Any, score: Any) -> None:
    right = isinstance(budget, float) and 0 < budget < np.inf and isinstance(score, float) and np.isfinite(score)
    if not right or type(labels) is not int or labels < 0:
        raise InputError(f"row {row} has a budget of {budget} ms, {labels} labels and the score {score}")


def write_choices(path: Path, choices: Sequence[Choice]) -> None:
    """Writes :func:`read_choices`'s file, atomically."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "strategy": pa.array([one.strategy for one in choices], type=pa.string()),
            "budget_ms": pa.array([one.budget for one in choices], type=pa.float64()),
            "labels": pa.array([one.labels for one in choices], type=pa.int64()),
            "name": pa.array([one.name for one in choices], type=pa.string()),
            "schedule": pa.array(
                [None if one.schedule is None else one.schedule.astype(np.int16) for one in choices],
                type=pa.list_(pa.int16()),
            ),
            "score": pa.array([one.score for one in choices], type=pa.float64()),
            "scores": pa.array([one.scores for one in choices], type=pa.list_(pa.float64())),
            "reason": pa.array([one.reason for one in choices], type=pa.string()),
        }
    )
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
