"""Model schedules for diffusion sampling: spaces, solvers, zoos, sampling, FID, datasets."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omsdpm.dataset import ScheduleDataset
    from omsdpm.errors import InputError
    from omsdpm.solvers import DDIMSpace, DPMSolverSpace, MultistepSpace, SolverOptions, UniPCSpace, make_space
    from omsdpm.zoo import ModelZoo

__version__ = "0.1.0"

# Names and where they live; imported when first asked for, so that `omsdpm-bench --help`
# does not wait for NumPy and the rest.
_PUBLIC = {
    "DDIMSpace": "omsdpm.solvers",
    "DPMSolverSpace": "omsdpm.solvers",
    "InputError": "omsdpm.errors",
    "ModelZoo": "omsdpm.zoo",
    "MultistepSpace": "omsdpm.solvers",
    "ScheduleDataset": "omsdpm.dataset",
    "SolverOptions": "omsdpm.solvers",
    "UniPCSpace": "omsdpm.solvers",
    "make_space": "omsdpm.solvers",
}

__all__ = [
    "DDIMSpace",
    "DPMSolverSpace",
    "InputError",
    "ModelZoo",
    "MultistepSpace",
    "ScheduleDataset",
    "SolverOptions",
    "UniPCSpace",
    "__version__",
    "make_space",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
