"""Random schedules that cost what they may: starting points, and repair to a budget."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.strategies.single import single_member
from studies.problem import SearchProblem

Schedules = NDArray[np.int64]  # (n, L)

ALPHA = 0.4
"""Dirichlet concentration of the paper's second design: schedules dominated by few members."""

ROUNDING = 1e-12
"""Sums in another order may differ by this much, relative."""


def starts(problem: SearchProblem, caps: NDArray[np.float64], rng: np.random.Generator) -> Schedules:
    """Random schedules that each cost as much as a cap allows.

    The paper's priors for the members (half uniform, half Dirichlet), but slots become
    null in random order until the schedule fits, where the paper uses one null
    probability for all: so the draws spread over latency as the caps do. Where slots belong
    together in groups, the order is correlated within a group by a degree drawn for each
    schedule, which gives solver steps of all orders.

    Args:
        problem: space and latencies; its budget is not looked at.
        caps: ``(n,)``: most that each schedule may cost, in ms.

    Returns:
        ``(n, L)`` valid schedules.
    """
    space, n = problem.space, len(caps)
    X = space.random(n, rng, null=0.0)
    X[::2] = space.random(len(X[::2]), rng, null=0.0, alpha=ALPHA)
    width = space.group_size
    keys = rng.random((n, space.length))
    group_keys = np.repeat(rng.random((n, space.length // width)), width, axis=1)
    weight = rng.random((n, 1)) if width > 1 else 0.0
    return _trim(problem, X, caps, (1 - weight) * keys + weight * group_keys)


def stratified(problem: SearchProblem, n: int, rng: np.random.Generator, *, lowest: float = 0.0) -> Schedules:
    """:func:`starts` with caps spread evenly from ``lowest`` of the limit up to all of it, ``(n, L)``."""
    low = max(problem.cheapest, lowest * problem.limit)
    caps = low + (problem.limit - low) * (np.arange(1, n + 1) - rng.random(n)) / n
    return starts(problem, rng.permutation(caps), rng)


def uniform_schedules(problem: SearchProblem) -> Schedules:
    """Every member at every number of uniform steps that fits, in every order of the solver's steps, ``(n, L)``."""
    space = problem.space
    rows = [
        single_member(space, member, steps, order=order)
        for order in space.orders
        for member in range(1, space.num_models + 1)
        for steps in range(1, space.most_steps(order) + 1)
    ]
    X = np.stack(rows)
    return np.unique(X[problem.fits(X)], axis=0)


def seeded(problem: SearchProblem, n: int, rng: np.random.Generator) -> Schedules:
    """Uniform single-member schedules, for up to half, and :func:`stratified` ones, ``(n, L)``."""
    X = stratified(problem, n, rng)
    seeds = uniform_schedules(problem)
    seeds = seeds[rng.permutation(len(seeds))[: n // 2]]
    return np.concatenate([seeds, X[: n - len(seeds)]])


def neighbors_of(problem: SearchProblem, X: Schedules, rng: np.random.Generator) -> Schedules:
    """``(n, L) -> (n, L)``: one slot of each row drawn anew, repaired to the budget."""
    X = X.copy()
    X[np.arange(len(X)), rng.integers(X.shape[1], size=len(X))] = rng.integers(
        problem.space.num_models + 1, size=len(X)
    )
    return within_budget(problem, X, rng)


def within_budget(problem: SearchProblem, X: Schedules, rng: np.random.Generator) -> Schedules:
    """``(n, L) -> (n, L)`` valid schedules within budget; those that are come back unchanged.

    What costs too much gets, by the toss of a coin, lighter members or nulls in random
    slots, no more of them than it takes.
    """
    space = problem.space
    X = space.repair(X, rng)
    if problem.budget is None:
        return X
    over = np.flatnonzero(~problem.fits(X))
    if not len(over):
        return X
    lighten = over[rng.random(len(over)) < 0.5]
    X[lighten] = _lighten(problem, X[lighten], rng)
    over = np.flatnonzero(~problem.fits(X))
    X[over] = _trim(problem, X[over], np.full(len(over), problem.budget), rng.random((len(over), space.length)))
    return X


def _lighten(problem: SearchProblem, X: Schedules, rng: np.random.Generator) -> Schedules:
    """Redraws models among the lighter members, in random order, until the rows fit."""
    assert problem.budget is not None
    table = np.concatenate([[0.0], problem.prices])
    by_cost = np.argsort(table, kind="stable")  # null first
    rank = np.argsort(by_cost, kind="stable")[X]
    lighter = np.where(X > 0, by_cost[(rng.random(X.shape) * rank).astype(np.int64)], 0)
    order = np.argsort(rng.random(X.shape), axis=1)
    saved = np.take_along_axis(table[X] - table[lighter], order, axis=1)
    excess = problem.cost(X)[:, None] - problem.budget
    needed = np.cumsum(saved, axis=1) - saved < excess  # what came before did not suffice
    redraw = np.zeros(X.shape, dtype=bool)
    np.put_along_axis(redraw, order, needed, axis=1)
    return _alive(problem, np.where(redraw, lighter, X))


def _trim(problem: SearchProblem, X: Schedules, caps: NDArray[np.float64], keys: NDArray[np.float64]) -> Schedules:
    """Keeps the models of the lowest ``keys`` ``(n, L)`` as far as each cap goes."""
    table = np.concatenate([[0.0], problem.prices])
    X = X.copy()
    order = np.argsort(np.where(X > 0, keys, np.inf), axis=1)
    # A schedule may cost exactly its budget, so the first pass forgives the rounding of the
    # running sum; the second is for rows where that forgave too much.
    for slack in (ROUNDING, -ROUNDING):
        over = np.flatnonzero(problem.cost(X) > caps)
        rows, ranked = X[over], order[over]
        running = np.cumsum(np.take_along_axis(table[rows], ranked, axis=1), axis=1)
        kept = np.zeros(rows.shape, dtype=bool)
        np.put_along_axis(kept, ranked, running <= caps[over, None] * (1 + slack), axis=1)
        X[over] = np.where(kept, rows, 0)
    return _alive(problem, X, order[:, 0])


def _alive(problem: SearchProblem, X: Schedules, slots: NDArray[np.int64] | None = None) -> Schedules:
    """Gives all-null rows the fastest member, in ``slots`` ``(n,)`` or at the noise end."""
    empty = np.flatnonzero(~X.any(axis=1))
    X[empty, -1 if slots is None else slots[empty]] = problem.latency.argmin() + 1
    return problem.space.repair(X)
