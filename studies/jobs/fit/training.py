"""Which schedules of a dataset a predictor is fitted on, and remembering them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omsdpm.dataset import ScheduleDataset
from omsdpm.errors import InputError
from omsdpm.solvers import Schedules, ScheduleSpace
from omsdpm.tables import read_json
from studies.jobs.fit.result import FILE
from studies.ranking import MIN_RANKED

RATIO = 0.5
"""The paper's: a random half is trained on, the other half judges."""


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
    if size < MIN_RANKED:
        raise InputError(f"train ratio {ratio:g} of {len(dataset)} schedules: expected at least {MIN_RANKED} to fit on")
    rows = np.random.default_rng(seed).permutation(len(dataset))[:size]
    return dataset[np.sort(rows)], None


def digests(seen: Sequence[Schedules], space: ScheduleSpace) -> tuple[str, ...]:
    """What identifies schedules ``(n, L)``, several times, sorted and each once."""
    return tuple(sorted({digest for X in seen for digest in _digests(X, space)}))


AGAIN = "fit the predictor again"


def remembered(folder: Path) -> tuple[str, ...]:
    """Digests of the schedules that the predictor in ``folder`` has seen.

    Raises:
        InputError: the folder's file is damaged.
    """
    path = folder / FILE
    try:
        return tuple(map(str, read_json(path, AGAIN)["schedules"]))
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} says no schedules; {AGAIN}") from error


def unseen(seen: Sequence[str], dataset: ScheduleDataset) -> NDArray[np.bool_]:
    """``(n,)``: none of the schedules seen is this one, or samples the same.

    Told by the schedules themselves, so that it holds for any dataset with the same ones.
    """
    known = set(seen)
    return np.array([digest not in known for digest in _digests(dataset.X, dataset.space)], dtype=bool)


def _digests(X: Schedules, space: ScheduleSpace) -> list[str]:
    rows = np.ascontiguousarray(space.canonical(X), dtype="<i8")
    return [hashlib.blake2b(row.tobytes(), digest_size=8).hexdigest() for row in rows]
