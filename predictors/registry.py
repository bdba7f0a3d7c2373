"""Predictors by name, ours and any installed package's, through entry points."""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from omsdpm.errors import InputError, unknown_name

if TYPE_CHECKING:
    from omsdpm.solvers import ScheduleSpace
    from predictors.base import Predictor

GROUP = "omsdpm.predictors"


def predictor_names() -> list[str]:
    """The names of all installed predictors, sorted; imports none of them."""
    return sorted(_registered())


def predictor_class(name: str) -> type[Predictor]:
    """The class registered as ``name``.

    Raises:
        InputError: nobody registered the name, or its package cannot be imported.
    """
    registered = _registered()
    if name not in registered:
        raise unknown_name("predictor", name, registered)
    return _load(registered[name])


def make_predictor(name: str, *, space: ScheduleSpace, **parameters: Any) -> Predictor:
    """An unfitted predictor.

    Args:
        name: one of :func:`predictor_names`.
        space: the space whose schedules it will score.
        **parameters: of the family's ``__init__``.

    Raises:
        InputError: unknown name, or a parameter that the family does not have.
    """
    family = predictor_class(name)
    known = family._get_param_names()
    for parameter in parameters:
        if parameter not in known:
            raise unknown_name(f"parameter of predictor {name!r}", parameter, known)
    return family(space=space, **parameters)


def load_predictor(folder: str | os.PathLike[str]) -> Predictor:
    """The fitted predictor that ``Predictor.save`` wrote to ``folder``, of whichever installed family.

    Raises:
        InputError: no predictor there, a damaged one, or one of a family that is not installed.
    """
    from predictors.folder import read_header

    name = read_header(folder)["predictor"]
    registered = _registered()
    if name not in registered:
        raise InputError(f"{folder} holds the predictor {name!r}, which is not installed; install its package")
    return _load(registered[name]).load(folder)


def registered_name(family: type) -> str:
    """The name that a family is registered under, by which saved predictors find it again.

    Raises:
        InputError: nobody registered it.
    """
    value = f"{family.__module__}:{family.__qualname__}"
    for name, entry in _registered().items():
        if f"{entry.module}:{entry.attr}" == value:
            return name
    raise InputError(f"{value} is registered under no name: add it to the entry-point group {GROUP}")


def _registered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _load(entry: EntryPoint) -> type[Predictor]:
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise InputError(f"predictor {entry.name!r} is registered as {entry.value}, which fails: {error}") from error
