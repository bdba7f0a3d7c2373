"""Optimizers by name, ours and other people's alike."""

from __future__ import annotations

import inspect
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from omsdpm.errors import unknown_name
from studies.optimizers.base import Optimizer

GROUP = "omsdpm.optimizers"


def _registered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def optimizer_names() -> list[str]:
    """The registered names, sorted; imports no optimizer."""
    return sorted(_registered())


def make_optimizer(name: str, **parameters: Any) -> Optimizer:
    """The optimizer ``name`` with its own parameters; the rest keep their defaults.

    Raises:
        InputError: unknown name, or a parameter that this optimizer does not have.
    """
    registered = _registered()
    if name not in registered:
        raise unknown_name("optimizer", name, registered)
    make = registered[name].load()
    known = list(inspect.signature(make).parameters)
    for parameter in parameters:
        if parameter not in known:
            raise unknown_name(f"parameter of optimizer {name!r}", parameter, known)
    optimizer: Optimizer = make(**parameters)
    return optimizer
