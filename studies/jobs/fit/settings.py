"""What fitting a predictor is asked to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from omsdpm.errors import InputError
from omsdpm.plugins import Named
from omsdpm.seeds import LARGEST
from studies.jobs.naming import text_of
from studies.jobs.settings import Settings, option
from studies.jobs.solvers import solver_names


class FitSettings(Settings):
    """Fit a predictor on measured schedules and save it to a folder.

    The folder remembers which schedules were fitted on, so that 'evaluate' leaves them
    out. How well it ranks the others is printed.
    """

    words = ("predictor", "fit")

    dataset: Path = option(help="Parquet, or released .pth or folder.")
    predictor: Any = option("lstm", metavar="NAME", help="Its family, as 'lstm[updates=800]'; see 'list'.")
    output: Path = option(help="Folder for the predictor.")
    train_ratio: float | None = option(
        None, gt=0, le=1, shown="the training split if there is one, else 0.5",
        help="Part to fit on, drawn at random.",
    )  # fmt: skip
    seed: int = option(0, ge=0, le=LARGEST, help="Of the drawing and the fit.")
    parameters: tuple[str, ...] = option(
        (), flags=("--set",), metavar="NAME=VALUE",
        help="A parameter of the family, repeatable; as in the brackets of --predictor.",
    )  # fmt: skip
    solver: str | None = option(None, choices=solver_names, shown="told by their slots", help="Of released schedules.")
    members: int | None = option(None, ge=1, shown="the largest member that occurs", help="Of the zoo.")
    latency: Path | None = option(None, help="Latency table, for families that use it.")

    @property
    def predictor_with_parameters(self) -> Any:
        """The predictor with what ``--set`` adds; an object as it is."""
        if not self.parameters:
            return self.predictor
        named = Named.parse(self.predictor)
        return str(Named(named.name, {**named.parameters, **dict(map(parameter, self.parameters))}))

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.parameters and not isinstance(self.predictor, str):
            raise InputError(f"--set with the predictor {text_of(self.predictor)}: give the object its parameters")
        for setting in self.parameters:
            parameter(setting)
        return self


def parameter(setting: str) -> tuple[str, Any]:
    """``"updates=50"`` as a name and a number, truth value, list or word.

    Raises:
        InputError: another form.
    """
    name, equals, value = setting.partition("=")
    if not equals or not name:
        raise InputError(f"--set {setting}: expected NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
