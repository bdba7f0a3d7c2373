"""The files of the OMS-DPM release (Liu et al., ICML 2023): reading all of them, writing schedules.

Nothing in a file is run: see :func:`omsdpm.released._pickle.load_pth`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omsdpm.released.dataset import RefusedRow, infer_solver, read_dataset, sift_dataset
    from omsdpm.released.latency import read_latency
    from omsdpm.released.predictor import load_predictor
    from omsdpm.released.schedules import read_schedules, write_population, write_schedule
    from omsdpm.released.zoo import import_zoo, load_zoo

_PUBLIC = {
    "RefusedRow": "dataset",
    "import_zoo": "zoo",
    "infer_solver": "dataset",
    "load_predictor": "predictor",
    "load_zoo": "zoo",
    "read_dataset": "dataset",
    "read_latency": "latency",
    "read_schedules": "schedules",
    "sift_dataset": "dataset",
    "write_population": "schedules",
    "write_schedule": "schedules",
}

__all__ = [
    "RefusedRow",
    "import_zoo",
    "infer_solver",
    "load_predictor",
    "load_zoo",
    "read_dataset",
    "read_latency",
    "read_schedules",
    "sift_dataset",
    "write_population",
    "write_schedule",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
