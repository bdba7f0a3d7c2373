"""Strategies by name, ours and any installed package's."""

from __future__ import annotations

from benchmarks.strategies.base import Strategy
from omsdpm.errors import InputError
from omsdpm.plugins import Named, Registry

STRATEGIES = Registry("strategy", "omsdpm.strategies", needs=("name", "schedules"))


def strategy_names() -> list[str]:
    """The registered names, sorted; imports no strategy."""
    return STRATEGIES.names()


def make_strategy(text: str) -> Strategy:
    """The strategy that ``name`` or ``name[param=value,...]`` names.

    Raises:
        InputError: unknown name, a plug-in that breaks the contract, or a parameter that it does not have.
    """
    strategy: Strategy = STRATEGIES.make(text)
    name = Named.parse(text).name
    if strategy.name != name:
        raise InputError(
            f"strategy {name!r} ({STRATEGIES.point(name).value}) calls itself {strategy.name!r}, by which its "
            "baselines would not be found again: register it under that name"
        )
    return strategy


def usual_strategies() -> list[str]:
    """Names of the strategies whose proposals are all baselines of every benchmark that is built, sorted."""
    return [name for name in strategy_names() if getattr(STRATEGIES.load(name), "usual", True)]


def raced_strategies() -> list[str]:
    """Names of the strategies whose proposals race under a budget for which none are stored, the usual ones first."""
    more = [name for name in strategy_names() if getattr(STRATEGIES.load(name), "raced", False)]
    return list(dict.fromkeys([*usual_strategies(), *more]))
