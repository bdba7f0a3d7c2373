"""``omsdpm-bench predictor``: fitting and judging predictors without a benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from omsdpm.errors import InputError
from studies.cli import _options
from studies.cli._lazy import LazyGroup

COMMANDS = {
    "fit": "studies.cli.predictor:fit",
    "evaluate": "studies.cli.predictor:evaluate",
    "compare": "studies.cli.compare:compare",
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def predictor() -> None:
    """Fit predictors on datasets of measured schedules, and judge their rankings."""


@click.command()
@click.option("--dataset", type=click.Path(path_type=Path), required=True, help="Parquet, or released .pth or folder.")
@click.option("--predictor", "name", default="lstm", show_default=True, help="Its family; see 'list'.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Folder for the predictor.")
@click.option(
    "--train-ratio",
    type=click.FloatRange(0, 1, min_open=True),
    help="Part to fit on, drawn at random.  [default: the training split if there is one, else 0.5]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the drawing and the fit.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A parameter of the family, repeatable.")
@_options.solver("Of released schedules.  [default: told by their slots]")
@click.option("--members", type=click.IntRange(min=1), help="Of the zoo.  [default: the largest member that occurs]")
@click.option("--latency", type=click.Path(path_type=Path), help="Latency table, for families that use it.")
def fit(
    dataset: Path,
    name: str,
    output: Path,
    train_ratio: float | None,
    seed: int,
    settings: tuple[str, ...],
    solver: str | None,
    members: int | None,
    latency: Path | None,
) -> None:
    """Fit a predictor on measured schedules and save it to a folder.

    The folder remembers which schedules were fitted on, so that 'evaluate' leaves them
    out. How well it ranks the others is printed.
    """
    from omsdpm.zoo.opening import read_latency_table
    from predictors import make_predictor, predictor_class
    from studies.cli._console import Reporter
    from studies.cli._datasets import open_dataset
    from studies.jobs.fit.training import LEAST, choose, remember, unseen
    from studies.jobs.run.table import correlation_words
    from studies.ranking import correlations

    parameters = dict(_parameter(setting) for setting in settings)
    predictor_class(name)  # an unknown name is told before anything is read
    _check_output(output)
    table = None if latency is None else read_latency_table(latency, members)
    data = open_dataset(dataset, solver, members if table is None else len(table))
    if table is None:
        table = data.extra.get("latency_ms")
    train, validation = choose(data, train_ratio, seed)
    family = make_predictor(name, space=data.space, **{"latency": table, "random_state": seed, **parameters})
    held_back = {} if validation is None else {"X_validation": validation.X, "y_validation": validation.y}
    reporter = Reporter()
    reporter.note(f"dataset: {len(data)} schedules of {data.space}")
    with reporter.part(f"Fitting {name} on {len(train)} of {len(data)} schedules"):
        family.fit(train.X, train.y, **held_back)
    family.save(output)
    seen = [train.X] if validation is None else [train.X, validation.X]
    remember(output, data.space, seen, {"dataset": str(dataset), "train_ratio": train_ratio, "seed": seed})
    rest = data[unseen(output, data)]
    reporter.note(f"predictor: {output}")
    if len(rest) >= LEAST:
        words = correlation_words(correlations(family, rest.X, rest.y))
        reporter.note(f"{name} on the {len(rest)} other schedules: {words}")


@click.command()
@click.option("--dataset", type=click.Path(path_type=Path), required=True, help="Parquet, or released .pth or folder.")
@click.option(
    "--predictor-folder", type=click.Path(path_type=Path), required=True, help="What 'fit' saved, or a released .pth."
)
@_options.solver("Of released schedules.  [default: told by their slots]")
@click.option("--members", type=click.IntRange(min=1), help="Of the zoo.  [default: the predictor's]")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="JSON file for the result.")
def evaluate(
    dataset: Path, predictor_folder: Path, solver: str | None, members: int | None, output: Path | None
) -> None:
    """Kendall's tau and Spearman's rho on the schedules of a dataset that the predictor was not fitted on."""
    import json

    from omsdpm.files import replacing
    from omsdpm.released import load_predictor as load_released
    from predictors import load_predictor
    from studies.cli._console import Reporter
    from studies.cli._datasets import open_dataset
    from studies.jobs.fit.training import LEAST, TRAINED, unseen
    from studies.jobs.run.table import correlation_words
    from studies.ranking import correlations

    released = predictor_folder.is_file()
    model = load_released(predictor_folder, solver=solver) if released else load_predictor(predictor_folder)
    fitted = model.space
    assert fitted is not None  # both loaders give fitted predictors
    parquet = dataset.is_file() and dataset.suffix not in (".pth", ".pt")
    if not parquet:  # released schedules do not say what they are for, the predictor does
        solver, members = solver or fitted.solver, members or fitted.num_models
    data = open_dataset(dataset, solver, members)
    if released and data.space.length != fitted.length:  # a checkpoint does not tell its length
        model = load_released(predictor_folder, solver=solver, length=data.space.length)
    if data.space != model.space:
        raise InputError(f"predictor {predictor_folder} is for {model.space}, dataset {dataset} is of {data.space}")
    remembered = not released and (predictor_folder / TRAINED).is_file()
    rest = data[unseen(predictor_folder, data)] if remembered else data
    if len(rest) < LEAST:
        raise InputError(
            f"{len(data) - len(rest)} of the {len(data)} schedules of {dataset} were fitted on: give a dataset with at "
            f"least {LEAST} others, or fit with a smaller --train-ratio"
        )
    found: dict[str, Any] = correlations(model, rest.X, rest.y)
    reporter = Reporter()
    if remembered:
        reporter.note(f"left out: {len(data) - len(rest)} of {len(data)} schedules, which it was fitted on")
    else:
        reporter.note(f"{predictor_folder} does not tell what it was fitted on: all {len(data)} schedules are used")
    reporter.note(f"{len(rest)} schedules: {correlation_words(found)}")
    if output is not None:
        facts = {"predictor": str(predictor_folder), "dataset": str(dataset), "left_out": len(data) - len(rest)}
        with replacing(output) as temporary:
            temporary.write_text(json.dumps({**facts, **found}, indent=1) + "\n", encoding="utf-8")


def _check_output(folder: Path) -> None:
    """Raises :class:`InputError` if the predictor could not be saved, before it is fitted."""
    from omsdpm.files import writable_folder

    if folder.exists() and not folder.is_dir():
        raise InputError(f"output {folder} is a file: name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "predictor.json").is_file():
        raise InputError(f"output folder {folder} holds files and is not a saved predictor: name another one")
    writable_folder(folder.parent)


def _parameter(setting: str) -> tuple[str, Any]:
    """``"updates=50"`` as a name and a number, truth value, list or word."""
    import json

    name, equals, value = setting.partition("=")
    if not equals or not name:
        raise InputError(f"--set {setting}: expected NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
