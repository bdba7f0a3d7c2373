"""A given predictor, saved or released, and the latency table of its zoo."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from omsdpm.errors import InputError
from omsdpm.latency import LatencyTable
from omsdpm.released import load_predictor as load_released
from omsdpm.solvers import DDIMSpace, DPMSolverSpace, ScheduleSpace, make_space
from omsdpm.zoo.opening import read_latency_table
from predictors import load_predictor
from studies.jobs.run.settings import RunSettings

if TYPE_CHECKING:
    from predictors import Predictor


def open_checkpoint(settings: RunSettings) -> Predictor:
    """The fitted predictor, for the solver and length asked for.

    Raises:
        InputError: no predictor there, or one for another solver or length.
    """
    path, solver, length = settings.predictor_checkpoint, settings.solver, settings.length
    assert path is not None
    if solver is not None and length is not None:
        make_space(solver, 1, length)  # a length that is not the solver's
    if not path.is_dir():
        if solver is not None and solver not in (DDIMSpace.solver, DPMSolverSpace.solver):
            raise InputError(
                f"--solver {solver}: released predictors are for ddim or dpm-solver; "
                f"fit one with `omsdpm-bench predictor fit`"
            )
        released: Predictor = load_released(path, settings.predictor_config, solver=solver, length=length)
        return released
    if settings.predictor_config is not None:
        raise InputError(f"--predictor-config is for released checkpoints: {path} is a folder and tells all itself")
    predictor = load_predictor(path)
    space = predictor.space
    assert space is not None  # a saved predictor is fitted
    for option, wanted, own in (("solver", solver, space.solver), ("length", length, space.length)):
        if wanted not in (None, own):
            raise InputError(f"--{option} {wanted}: predictor {path} is for {space}; leave --{option} out")
    return predictor


def open_latency(settings: RunSettings, space: ScheduleSpace) -> LatencyTable:
    """Milliseconds a member, by the table given."""
    assert settings.latency is not None
    return read_latency_table(settings.latency, space.num_models)


def sha256(path: Path) -> str:
    """SHA-256 of a file, or of the files of a folder in the order of their names."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(item for item in path.iterdir() if item.is_file()):
        digest.update(file.read_bytes())
    return digest.hexdigest()
