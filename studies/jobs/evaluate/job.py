"""Judging a saved or released predictor on schedules that it has not seen."""

from __future__ import annotations

from omsdpm.errors import InputError
from omsdpm.files import check_writable
from omsdpm.released import load_predictor as load_released
from predictors import load_predictor
from studies.jobs.datasets import is_released, open_dataset
from studies.jobs.evaluate.result import EvaluateResult
from studies.jobs.evaluate.settings import EvaluateSettings
from studies.jobs.fit.result import FILE
from studies.jobs.fit.training import remembered, unseen
from studies.ranking import MIN_RANKED, correlations
from studies.records.progress import SILENT, Reporter


def evaluate(settings: EvaluateSettings, reporter: Reporter = SILENT) -> EvaluateResult:
    """Rank correlations on those schedules of a dataset that the predictor was not fitted on.

    Raises:
        InputError: something in ``settings`` cannot be used, or fewer than two schedules are left.
    """
    if settings.output is not None:
        check_writable(settings.output)
    path, dataset, solver, members = settings.predictor_folder, settings.dataset, settings.solver, settings.members
    released = path.is_file()
    model = load_released(path, solver=solver) if released else load_predictor(path)
    fitted = model.space
    assert fitted is not None  # both loaders give fitted predictors
    if is_released(dataset) or not dataset.is_file():
        # Released schedules do not say what they are for, the predictor does.
        solver, members = solver or fitted.solver, members or fitted.num_models
    data = open_dataset(dataset, solver, members)
    if released and data.space.length != fitted.length:  # a checkpoint does not tell its length
        model = load_released(path, solver=solver, length=data.space.length)
    if data.space != model.space:
        raise InputError(f"predictor {path} is for {model.space}, dataset {dataset} is of {data.space}")
    remembers = not released and (path / FILE).is_file()
    rest = data[unseen(remembered(path), data)] if remembers else data
    left_out = len(data) - len(rest)
    if len(rest) < MIN_RANKED:
        raise InputError(
            f"{left_out} of the {len(data)} schedules of {dataset} were fitted on: give a dataset with at "
            f"least {MIN_RANKED} others, or fit with a smaller --train-ratio"
        )
    if remembers:
        reporter.note(f"left out: {left_out} of {len(data)} schedules, which it was fitted on")
    else:
        reporter.note(f"{path} does not tell what it was fitted on: all {len(data)} schedules are used")
    with reporter.part(f"Judging on {len(rest)} schedules"):
        ranks = correlations(model, rest.X, rest.y)
    result = EvaluateResult(settings=settings, remembered=remembers, left_out=left_out, **ranks.model_dump())
    if settings.output is not None:
        result.write(settings.output)
    return result
