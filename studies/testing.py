"""What every optimizer must do, as functions that a plug-in's own tests can call.

Example:
    >>> check_optimizer(partial(make_optimizer, "annealing"))  # raises AssertionError where it fails
    >>> @pytest.mark.parametrize("check", [pytest.param(run, id=name) for name, run in optimizer_checks(make)])
    ... def test_conformance(check):
    ...     check()

A check is a function of a factory, ``make()`` gives an optimizer, of a space and of a budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from omsdpm.solvers import DDIMSpace, DPMSolverSpace, ScheduleSpace
from omsdpm.testing import refuses
from studies.optimizers.base import Optimizer
from studies.problem import SearchProblem

Factory = Callable[[], Optimizer]

SPACES = (DDIMSpace(3, 8), DPMSolverSpace(3, 3))
"""Where an optimizer is checked unless its test says otherwise."""

LATENCY = (1.0, 2.5, 6.0)
"""Of the three members that spaces have, ms."""

BUDGETS = (None, 9.0)
"""ms."""

EVALUATIONS = 200


class AdditiveScore:
    """A predictor whose score is a sum over slots, better with heavier members; null is worst.

    Attributes:
        rows: every schedule that it was asked about, in order.
    """

    def __init__(self, length: int, members: int) -> None:
        rng = np.random.default_rng(7)
        self.table = rng.random((length, members + 1)) + np.linspace(2.0, 0.0, members + 1)
        self.rows: list[NDArray[np.int64]] = []

    def predict(self, X: NDArray[np.int64]) -> NDArray[np.float64]:
        """``(n, L) -> (n,)``."""
        self.rows.extend(X.copy())
        scores: NDArray[np.float64] = np.take_along_axis(self.table[None], X[:, :, None], axis=2)[:, :, 0].sum(axis=1)
        return scores


def additive_problem(
    space: ScheduleSpace, budget: float | None = None, latency: Sequence[float] = LATENCY
) -> SearchProblem:
    """A search on :class:`AdditiveScore`, which its ``predictor`` is."""
    score = AdditiveScore(space.length, space.num_models)
    return SearchProblem(space=space, predictor=score, latency=latency, budget=budget)


# -- running the checks ---------------------------------------------------------------


def optimizer_checks(
    make: Factory, *, spaces: Sequence[ScheduleSpace] = SPACES, budgets: Sequence[float | None] = BUDGETS
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yields names and checks, each a function without arguments that raises where the optimizer fails.

    Args:
        make: gives an optimizer.
        spaces: of three members each.
        budgets: ms; ``None`` is none.
    """
    for space in spaces:
        for check in OPTIMIZER_CHECKS:
            name = f"{check.__name__.removeprefix('check_').replace('_', ' ')}, {space.solver}"
            if check not in CHECKS_UNDER_EVERY_BUDGET:
                yield name, partial(check, make, space)
                continue
            for budget in budgets:
                limit = "no budget" if budget is None else f"{budget:g} ms"
                yield f"{name}, {limit}", partial(check, make, space, budget)


def check_optimizer(
    make: Factory, *, spaces: Sequence[ScheduleSpace] = SPACES, budgets: Sequence[float | None] = BUDGETS
) -> None:
    """Runs all of :func:`optimizer_checks`.

    Raises:
        AssertionError: the first check that fails, by name.
    """
    for name, check in optimizer_checks(make, spaces=spaces, budgets=budgets):
        try:
            check()
        except Exception as error:  # whatever an optimizer does that it should not
            raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error


# -- checks under every budget --------------------------------------------------------


def check_search(make: Factory, space: ScheduleSpace, budget: float | None) -> None:
    """What comes back is valid, within budget, paid for and better than chance; progress and history say so."""
    problem = additive_problem(space, budget)
    score = problem.predictor
    assert isinstance(score, AdditiveScore)
    reports: list[tuple[int, int]] = []
    optimizer = make()
    assert isinstance(optimizer.multi_objective, bool)
    result = optimizer.run(
        problem, evaluations=EVALUATIONS, seed=3, progress=lambda done, total: reports.append((done, total))
    )
    # What comes back is valid, within budget, unique and sorted out correctly.
    space.check(result.X)
    np.testing.assert_array_equal(result.latency, space.latency(result.X, LATENCY))
    assert budget is None or (result.latency <= budget).all()
    assert len(np.unique(space.canonical(result.X), axis=0)) == len(result)
    np.testing.assert_allclose(result.scores, AdditiveScore(space.length, space.num_models).predict(result.X))
    # What was paid for.
    rows = np.array(score.rows)
    assert result.evaluations == problem.scored == len(rows) <= EVALUATIONS
    assert len(np.unique(space.canonical(rows), axis=0)) == len(rows)
    assert budget is None or (space.latency(rows, LATENCY) <= budget).all()
    assert result.evaluations > EVALUATIONS // 2, "an allowance is there to be used"
    # Front, best and history speak of everything seen.
    front = result.front()
    assert (np.diff(front.latency) > 0).all() and (np.diff(front.scores) < 0).all()
    assert result.scores[result.best_index()] == result.history.scores.min() == result.history.best[-1]
    assert result.history.evaluations[-1] == result.evaluations == len(result.history.scores)
    assert reports[-1] == (result.evaluations, EVALUATIONS)
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)
    # Better than what chance gives.
    chance = space.random(1000, np.random.default_rng(0))
    chance = space.canonical(chance[problem.fits(chance)])
    assert result.scores.min() < np.median(AdditiveScore(space.length, space.num_models).predict(chance))


def check_equal_seeds_give_equal_results(make: Factory, space: ScheduleSpace, budget: float | None) -> None:
    """The seed is the only source of randomness, and is one."""
    one, two, other = (make().run(additive_problem(space, budget), evaluations=160, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.X, two.X)
    np.testing.assert_array_equal(one.history.scores, two.history.scores)
    assert not np.array_equal(one.history.scores, other.history.scores)


# -- checks under a budget of their own -----------------------------------------------


def check_a_small_allowance_is_kept(make: Factory, space: ScheduleSpace) -> None:
    """One evaluation, and fewer than a batch."""
    for evaluations in (1, 7):
        result = make().run(additive_problem(space, 9.0), evaluations=evaluations, seed=0)
        assert 1 <= result.evaluations <= evaluations
        assert len(result) >= 1


def check_it_ends_when_the_space_is_exhausted(make: Factory, space: ScheduleSpace) -> None:
    """In a space of the same solver with few schedules."""
    small = type(space).make(2, 2 if space.group_size == 1 else space.group_size)
    result = make().run(additive_problem(small, latency=(1.0, 2.0)), evaluations=1000, seed=0)
    assert result.evaluations <= small.cardinality
    assert result.evaluations == len(result.history.scores)


def check_a_budget_of_exactly_the_cheapest_schedule(make: Factory, space: ScheduleSpace) -> None:
    """One step of the fastest member is all there is."""
    result = make().run(additive_problem(space, min(LATENCY)), evaluations=50, seed=0)
    assert (result.latency == min(LATENCY)).all()


def check_global_random_states_are_left_alone(make: Factory, space: ScheduleSpace) -> None:
    """A search draws nothing from NumPy's own generator."""
    _, keys, position, *_ = np.random.get_state()
    make().run(additive_problem(space), evaluations=150, seed=0)
    _, keys_after, position_after, *_ = np.random.get_state()
    np.testing.assert_array_equal(keys_after, keys)
    assert position_after == position


def check_wrong_arguments_are_refused(make: Factory, space: ScheduleSpace) -> None:
    """Before anything is scored."""
    problem = additive_problem(space)
    for evaluations in (0, 2.5):
        with refuses(f"evaluations={evaluations}"):
            make().run(problem, evaluations=evaluations, seed=0)  # type: ignore[arg-type]
    with refuses("seed=-1"):
        make().run(problem, evaluations=10, seed=-1)
    assert problem.scored == 0


CHECKS_UNDER_EVERY_BUDGET: tuple[Callable[..., None], ...] = (check_search, check_equal_seeds_give_equal_results)

OPTIMIZER_CHECKS: tuple[Callable[..., None], ...] = (
    *CHECKS_UNDER_EVERY_BUDGET,
    check_a_small_allowance_is_kept,
    check_it_ends_when_the_space_is_exhausted,
    check_a_budget_of_exactly_the_cheapest_schedule,
    check_global_random_states_are_left_alone,
    check_wrong_arguments_are_refused,
)
"""Functions of a factory and a space; those under every budget, which come first, of a budget too."""
