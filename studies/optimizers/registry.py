"""Optimizers by name, ours and any installed package's."""

from __future__ import annotations

from typing import Any

from omsdpm.plugins import Registry
from studies.optimizers.base import Optimizer

OPTIMIZERS = Registry("optimizer", "omsdpm.optimizers", needs=("run", "multi_objective"))


def optimizer_names() -> list[str]:
    """The registered names, sorted; imports no optimizer."""
    return OPTIMIZERS.names()


def make_optimizer(name: str, **parameters: Any) -> Optimizer:
    """The optimizer that ``name`` or ``name[param=value,...]`` names; other parameters keep their defaults.

    Args:
        name: one of :func:`optimizer_names`, perhaps with parameters.
        **parameters: of the optimizer too.

    Raises:
        InputError: unknown name, a plug-in that breaks the contract, or a parameter that the
            optimizer does not have, or that is given twice.

    Example:
        >>> make_optimizer("nsga2[population=100]", seeded=False).population
        100
    """
    optimizer: Optimizer = OPTIMIZERS.make(name, parameters)
    return optimizer
