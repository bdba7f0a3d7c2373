"""Solving for schedules: the search problem, the optimizers, baselines and their metrics.

Optimizers are found by name through the entry-point group ``omsdpm.optimizers``;
their libraries are imported when one is made.

Example:
    >>> problem = SearchProblem(space=space, predictor=predictor, latency=zoo.latency)
    >>> result = make_optimizer("nsga2").run(problem, evaluations=10_000, seed=0)
    >>> result.best(budget=12.0)
"""

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
