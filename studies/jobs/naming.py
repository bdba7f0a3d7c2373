"""Names or objects: what a job is given either way, and the text that says which it was."""

from __future__ import annotations

import inspect
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from omsdpm.errors import InputError, unknown_name
from omsdpm.plugins import Named

if TYPE_CHECKING:
    from benchmarks import Benchmark
    from predictors import Predictor
    from predictors.registry import Problem
    from studies import Optimizer

SETTLED = ("space", "noise", "latency", "options", "random_state")
"""Parameters of a predictor that the job settles."""

GROUPS = ("omsdpm.predictors", "omsdpm.optimizers")

ORACLE = "oracle"
"""Asks for the benchmark's own measurement instead of a predictor (:class:`benchmarks.oracle.Oracle`)."""

ORACLE_PARAMETERS = ("device",)


def text_of(thing: Any) -> str:
    """The text that names what a job was given: itself, a ``name``, or ``name[param=value,...]``.

    An object is told by the name that its class is registered under, with those parameters
    that are not the usual ones; one of a class that nobody registered by its class.

    Example:
        >>> text_of(make_optimizer("nsga2", population=100))
        'nsga2[population=100]'
    """
    if isinstance(thing, str):
        return thing
    name = getattr(thing, "name", None)
    if isinstance(name, str):
        return name
    return str(Named(_registered(type(thing)) or type(thing).__qualname__, _parameters(thing)))


def short_name(thing: Any) -> str:
    """The name in :func:`text_of`, without parameters."""
    return Named.parse(text_of(thing)).name


def benchmark_of(thing: Any) -> Benchmark:
    """A benchmark by its name or folder, or the one given.

    Raises:
        InputError: unknown name, or a folder that cannot be used.
    """
    if isinstance(thing, str):
        from benchmarks import load_benchmark

        return load_benchmark(thing)
    benchmark: Benchmark = thing
    return benchmark


def optimizer_of(thing: Any) -> Optimizer:
    """An optimizer by ``name[param=value,...]``, or the one given.

    Raises:
        InputError: unknown name, or a parameter that the optimizer does not have.
    """
    if isinstance(thing, str):
        from studies import make_optimizer

        named = Named.parse(thing)
        return make_optimizer(named.name, **named.parameters)
    optimizer: Optimizer = thing
    return optimizer


def check_predictor(text: str) -> None:
    """Raises :class:`InputError` for a predictor or a parameter that there is not; also imports its family."""
    from predictors import predictor_class

    named = Named.parse(text)
    if named.name == ORACLE:
        for parameter in named.parameters:
            if parameter not in ORACLE_PARAMETERS:
                raise unknown_name(f"parameter of predictor {ORACLE!r}", parameter, list(ORACLE_PARAMETERS))
        return
    known = [name for name in predictor_class(named.name)._get_param_names() if name not in SETTLED]
    for parameter in named.parameters:
        if parameter not in known:
            raise unknown_name(f"parameter of predictor {named.name!r}", parameter, known)


def predictor_of(thing: Any, problem: Problem, seed: int) -> Predictor:
    """An unfitted predictor that knows all of a problem but its scores.

    Args:
        thing: ``name[param=value,...]``, or a predictor, of which a copy is made. ``oracle`` is the
            problem's own measurement, if it is a benchmark.
        problem: has space, noise schedule, latencies and perhaps solver options.
        seed: all of the predictor's randomness.

    Raises:
        InputError: unknown name, or a parameter that the predictor does not have.
    """
    from predictors.registry import known_of, predictor_for

    if isinstance(thing, str):
        check_predictor(thing)
        named = Named.parse(thing)
        if named.name == ORACLE:
            return _oracle(problem, **named.parameters)
        return predictor_for(problem, thing, seed)
    from sklearn.base import clone

    if not hasattr(thing, "get_params"):
        raise InputError(f"predictor {thing!r}: expected name[param=value,...] or a predictors.Predictor")
    predictor: Predictor = clone(thing).set_params(**known_of(problem, type(thing), seed))
    return predictor


def _oracle(problem: Any, device: str = "cpu") -> Any:
    from benchmarks.oracle import Oracle

    if not hasattr(problem, "evaluate"):
        raise InputError(f"predictor {ORACLE!r} measures on a benchmark, and here is none: give another predictor")
    return Oracle(problem, device)


def _registered(family: type) -> str | None:
    """The name that a class is registered under, ``None`` if nobody did."""
    value = f"{family.__module__}:{family.__qualname__}"
    for group in GROUPS:
        for point in entry_points(group=group):
            if point.value == value:
                return point.name
    return None


def _parameters(thing: Any) -> dict[str, Any]:
    """What an object was made with, apart from usual values and what a job settles."""
    given = {}
    for name, parameter in inspect.signature(type(thing)).parameters.items():
        value = getattr(thing, name, parameter.default)
        unusual = value is not parameter.default and not _equal(value, parameter.default)
        if name not in SETTLED and unusual and _is_json(value):
            given[name] = list(value) if isinstance(value, tuple) else value
    return given


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except (TypeError, ValueError):
        return False


def _is_json(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_json(part) for part in value)
    return value is None or isinstance(value, (bool, int, float, str))
