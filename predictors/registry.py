"""Predictors by name, ours and any installed package's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

from omsdpm.errors import InputError
from omsdpm.files import reads
from omsdpm.plugins import Named, Registry, parameters_of

if TYPE_CHECKING:
    from omsdpm.noise import Noise
    from omsdpm.solvers import ScheduleSpace
    from predictors.base import Predictor

PREDICTORS = Registry("predictor", "omsdpm.predictors", needs=("fit", "predict", "save", "load", "get_params"))


PARTS = {"fit": "_learn", "predict": "_score"}
"""What the base class's own methods ask a family for."""


def predictor_names() -> list[str]:
    """The names of all installed predictors, sorted; imports none of them."""
    return PREDICTORS.names()


def predictor_class(name: str) -> type[Predictor]:
    """The class registered as ``name``.

    Raises:
        InputError: nobody registered the name, or a plug-in that breaks the contract.
    """
    family: type[Predictor] = PREDICTORS.load(name)
    # A family may write `fit` or `predict` itself; then it needs no part for it.
    lacking = [
        part
        for method, part in PARTS.items()
        if getattr(getattr(family, part, None), "__isabstractmethod__", False)
        and getattr(family, method).__module__ == "predictors.base"
    ]
    if lacking:
        value = PREDICTORS.point(name).value
        raise InputError(f"predictor {name!r} ({value}) is no predictor: it lacks {', '.join(lacking)}")
    return family


def make_predictor(name: str, *, space: ScheduleSpace, **parameters: Any) -> Predictor:
    """An unfitted predictor.

    Args:
        name: one of :func:`predictor_names`, perhaps with parameters: ``gbdt[trees=50]``.
        space: the space whose schedules it will score.
        **parameters: of the family's ``__init__``.

    Raises:
        InputError: unknown name, a plug-in that breaks the contract, or a parameter that the
            family does not have, or that is given twice.
    """
    predictor_class(Named.parse(name).name)
    predictor: Predictor = PREDICTORS.make(name, parameters, space=space)
    return predictor


class Problem(Protocol):
    """What a predictor may know before it is fitted; a benchmark has it, and perhaps solver ``options``."""

    @property
    def space(self) -> ScheduleSpace:
        """The schedules."""

    @property
    def noise(self) -> Noise | None:
        """The solver's noise schedule, ``None`` for the usual one."""

    @property
    def latency(self) -> Sequence[float] | None:
        """Milliseconds a member, ``None`` if unknown."""


def known_of(problem: Problem, family: type, random_state: int) -> dict[str, Any]:
    """What a problem settles of a family's parameters: all but its scores, as far as the family takes it."""
    known: dict[str, Any] = {
        "space": problem.space,
        "noise": problem.noise,
        "options": getattr(problem, "options", None),
        "latency": None if problem.latency is None else list(problem.latency),
        "random_state": random_state,
    }
    takes = parameters_of(family)
    return {name: value for name, value in known.items() if name in takes}


def predictor_for(problem: Problem, text: str, random_state: int = 0, **parameters: Any) -> Predictor:
    """An unfitted predictor that knows all of a problem but its scores.

    Args:
        problem: has space, noise schedule, latencies and perhaps solver options.
        text: ``name`` or ``name[param=value,...]``.
        random_state: all of its randomness.
        **parameters: more of the family's parameters.

    Raises:
        InputError: unknown name, a plug-in that breaks the contract, or a parameter that the
            family does not have, that is given twice, or that the problem settles.
    """
    known = known_of(problem, predictor_class(Named.parse(text).name), random_state)
    predictor: Predictor = PREDICTORS.make(text, parameters, **known)
    return predictor


@reads("folder")
def load_predictor(folder: str | os.PathLike[str]) -> Predictor:
    """The fitted predictor that ``Predictor.save`` wrote to ``folder``, of whichever installed family.

    Raises:
        InputError: no predictor there, a damaged one, or one of a family that is not installed.
    """
    from predictors.folder import predictor_name

    name = predictor_name(folder)
    if name not in predictor_names():
        raise InputError(f"{folder} holds the predictor {name!r}, which is not installed; install its package")
    return predictor_class(name).load(folder)


def registered_name(family: type) -> str:
    """The name that a family is registered under, by which saved predictors find it again.

    Raises:
        InputError: nobody registered it.
    """
    value = f"{family.__module__}:{family.__qualname__}"
    for point in entry_points(group=PREDICTORS.group):
        if f"{point.module}:{point.attr}" == value:
            return point.name
    raise InputError(f"{value} is registered under no name: add it to the entry-point group {PREDICTORS.group}")
