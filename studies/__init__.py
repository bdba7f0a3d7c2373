"""Solving for schedules: the search problem, the optimizers, baselines and their metrics.

Optimizers are found by name through the entry-point group ``omsdpm.optimizers``;
their libraries are imported when one is made.

Example:
    >>> problem = SearchProblem(space=space, predictor=predictor, latency=zoo.latency)
    >>> result = make_optimizer("nsga2").run(problem, evaluations=10_000, seed=0)
    >>> result.best(budget=12.0)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studies.optimizers.base import Optimizer
    from studies.optimizers.ledger import Ledger
    from studies.optimizers.registry import make_optimizer, optimizer_names
    from studies.problem import SearchProblem
    from studies.result import History, SearchResult

__all__ = [
    "History",
    "Ledger",
    "Optimizer",
    "SearchProblem",
    "SearchResult",
    "make_optimizer",
    "optimizer_names",
]

_MODULES = {
    "History": "result",
    "Ledger": "optimizers.ledger",
    "Optimizer": "optimizers.base",
    "SearchProblem": "problem",
    "SearchResult": "result",
    "make_optimizer": "optimizers.registry",
    "optimizer_names": "optimizers.registry",
}


def __getattr__(name: str) -> Any:
    """Imported when they are asked for: the command's help needs none of them."""
    if name not in _MODULES:
        raise AttributeError(f"module 'studies' has no attribute {name!r}")
    return getattr(import_module(f"studies.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
