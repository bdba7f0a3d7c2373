"""Opening a schedule dataset in whichever form it is, ours or the release's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omsdpm.errors import InputError

if TYPE_CHECKING:
    from omsdpm.dataset import ScheduleDataset


def open_dataset(path: Path, solver: str | None, num_models: int | None) -> ScheduleDataset:
    """A dataset from our Parquet, or from a released ``.pth`` or folder of them.

    Args:
        path: where it is.
        solver, num_models: of released schedules, which do not say them; must agree with Parquet.

    Raises:
        InputError: neither form, a row that is no measured schedule, or a solver that it has not.
    """
    from omsdpm.dataset import ScheduleDataset
    from omsdpm.released import read_dataset

    if path.is_dir() or path.suffix in (".pth", ".pt"):
        try:
            return read_dataset(path, solver=solver, num_models=num_models)
        except InputError as error:
            if str(error).startswith(f"{path}: row "):
                hint = "`omsdpm-bench dataset import` goes on without such rows"
                raise InputError(f"{error}; {hint}") from error
            raise
    dataset = ScheduleDataset.read(path)
    for name, wanted, found in (
        ("solver", solver, dataset.space.solver),
        ("members", num_models, dataset.space.num_models),
    ):
        if wanted not in (None, found):
            raise InputError(f"--{name} {wanted}: dataset {path} has {found}; leave --{name} out")
    return dataset
