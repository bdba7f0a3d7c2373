"""Opening a schedule dataset in whichever form it is, ours or the release's."""

from __future__ import annotations

from pathlib import Path

from omsdpm.dataset import ScheduleDataset
from omsdpm.errors import InputError
from omsdpm.released import sift_dataset


def is_released(path: Path) -> bool:
    """In the release's form: a ``.pth``, or a folder of them."""
    return path.is_dir() or path.suffix in (".pth", ".pt")


def open_dataset(path: Path, solver: str | None, num_models: int | None) -> ScheduleDataset:
    """A dataset from our Parquet, or from a released ``.pth`` or folder of them.

    Args:
        path: where it is.
        solver, num_models: of released schedules, which do not say them; must agree with Parquet.

    Raises:
        InputError: neither form, a row that is no measured schedule, or a solver that it has not.
    """
    if is_released(path):
        dataset, refused = sift_dataset(path, solver=solver, num_models=num_models)
        if refused:
            others = f" (and {len(refused) - 1} more rows)" if len(refused) > 1 else ""
            hint = "`omsdpm-bench dataset import` goes on without such rows"
            raise InputError(f"{path}: {refused[0]}{others}; {hint}")
        return dataset
    dataset = ScheduleDataset.read(path)
    for name, wanted, own in (
        ("solver", solver, dataset.space.solver),
        ("members", num_models, dataset.space.num_models),
    ):
        if wanted not in (None, own):
            raise InputError(f"--{name} {wanted}: dataset {path} has {own}; leave --{name} out")
    return dataset
