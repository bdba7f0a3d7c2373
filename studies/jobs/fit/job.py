"""Fitting a predictor on any dataset, and saving it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omsdpm.errors import InputError
from omsdpm.files import writable_folder
from omsdpm.zoo.opening import read_latency_table
from predictors.folder import recover, replacing_folder
from studies.jobs.datasets import open_dataset
from studies.jobs.fit.result import FILE, FitResult
from studies.jobs.fit.settings import FitSettings
from studies.jobs.fit.training import choose, digests, unseen
from studies.jobs.naming import check_predictor, predictor_of, text_of
from studies.ranking import MIN_RANKED, correlations
from studies.records.progress import SILENT, Reporter


def fit(settings: FitSettings, reporter: Reporter = SILENT) -> FitResult:
    """Fits a predictor on measured schedules and saves it to a folder, with what it has seen.

    Raises:
        InputError: something in ``settings`` cannot be used; told before anything is fitted.
    """
    thing, output = settings.predictor_with_parameters, settings.output
    if isinstance(thing, str):
        check_predictor(thing)  # an unknown name is told before anything is read
    _check_output(output)
    table = None if settings.latency is None else read_latency_table(settings.latency, settings.members)
    data = open_dataset(settings.dataset, settings.solver, settings.members if table is None else len(table))
    if table is None:
        table = data.extra.get("latency_ms")
    train, validation = choose(data, settings.train_ratio, settings.seed)
    predictor = predictor_of(thing, _Known(data.space, None, table), settings.seed)
    name = text_of(thing)
    held_back = {} if validation is None else {"X_validation": validation.X, "y_validation": validation.y}
    reporter.note(f"dataset: {len(data)} schedules of {data.space}")
    with reporter.part(f"Fitting {name} on {len(train)} of {len(data)} schedules"):
        predictor.fit(train.X, train.y, **held_back)
    seen = digests([train.X] if validation is None else [train.X, validation.X], data.space)
    rest = data[unseen(seen, data)]
    result = FitResult(
        settings=settings,
        predictor=name,
        size=len(data),
        train_size=len(train),
        others=correlations(predictor, rest.X, rest.y) if len(rest) >= MIN_RANKED else None,
        schedules=seen,
    )
    with replacing_folder(output) as new:  # what was fitted on belongs to the predictor: both are there or neither
        predictor.save(new)
        result.write(new / FILE)
    return result


@dataclass(frozen=True)
class _Known:
    """What a dataset says of its problem."""

    space: Any
    noise: None
    latency: list[float] | None


def _check_output(folder: Path) -> None:
    """Raises :class:`InputError` if the predictor could not be saved, before it is fitted."""
    recover(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output {folder} is a file: name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "predictor.json").is_file():
        raise InputError(f"output folder {folder} holds files and is not a saved predictor: name another one")
    writable_folder(folder.parent)
