"""Which schedules of a dataset a predictor is fitted on, and remembering them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.dataset import ScheduleDataset
from omsdpm.errors import InputError
from omsdpm.files import replacing
from omsdpm.solvers import Schedules, ScheduleSpace

TRAINED = "trained.json"
"""Beside a saved predictor: digests of the schedules that it has seen."""

RATIO = 0.5
"""The paper's: a random half is trained on, the other half judges."""

LEAST = 2
"""Fewest schedules that can be ranked."""


def choose(dataset: ScheduleDataset, ratio: float | None, seed: int) -> tuple[ScheduleDataset, ScheduleDataset | None]:
    """What to fit on, and what to tune on (``None`` for nothing).

    Args:
        dataset: all that was measured.
        ratio: random part to fit on; ``None`` takes the splits ``train`` and ``validation`` if the
            dataset has them, else :data:`RATIO`.
        seed: of the drawing.

    Raises:
        InputError: fewer than two schedules to fit on.
    """
    train, validation = dataset.subset("train"), dataset.subset("validation")
    if ratio is None and len(train):
        return train, validation if len(validation) else None
    ratio = RATIO if ratio is None else ratio
    size = round(ratio * len(dataset))
    if size < LEAST:
        raise InputError(f"train ratio {ratio:g} of {len(dataset)} schedules: expected at least {LEAST} to fit on")
    rows = np.random.default_rng(seed).permutation(len(dataset))[:size]
    return dataset[np.sort(rows)], None


def remember(folder: Path, space: ScheduleSpace, seen: Sequence[Schedules], facts: Mapping[str, Any]) -> None:
    """Writes what the predictor in ``folder`` has seen: schedules ``(n, L)``, several times."""
    digests = sorted({digest for X in seen for digest in _digests(X, space)})
    with replacing(folder / TRAINED) as temporary:
        temporary.write_text(json.dumps({**facts, "schedules": digests}) + "\n", encoding="utf-8")


def unseen(folder: Path, dataset: ScheduleDataset) -> NDArray[np.bool_]:
    """``(n,)``: the predictor in ``folder`` has not seen this schedule, nor one that samples the same.

    Told by the schedules themselves, so that it holds for any dataset with the same ones.

    Raises:
        InputError: the folder's file is damaged.
    """
    path = folder / TRAINED
    try:
        seen = set(json.loads(path.read_text(encoding="utf-8"))["schedules"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read: {error}; fit the predictor again") from error
    return np.array([digest not in seen for digest in _digests(dataset.X, dataset.space)], dtype=bool)


def _digests(X: Schedules, space: ScheduleSpace) -> list[str]:
    rows = np.ascontiguousarray(space.canonical(X), dtype="<i8")
    return [hashlib.blake2b(row.tobytes(), digest_size=8).hexdigest() for row in rows]
