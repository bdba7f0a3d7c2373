"""The paper's mutation rule, and the designs, repairs and moves of the other optimizers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omsdpm.solvers import DDIMSpace, DPMSolverSpace
from studies import SearchProblem, make_optimizer
from studies.optimizers.evolution import WINDOW, _lowest, first_schedule, mutate_slots
from studies.optimizers.ledger import Ledger
from studies.optimizers.moves import MOVES, cross, mutate
from studies.optimizers.pymoo_parts import ScheduleMating, tournament
from studies.optimizers.starts import stratified, within_budget

LATENCY = (1.0, 2.5, 6.0)
SPACES = [DDIMSpace(3, 8), DPMSolverSpace(3, 3)]


class Nothing:
    def predict(self, X):
        return np.zeros(len(X))


def problem(space, budget=None):
    return SearchProblem(space=space, predictor=Nothing(), latency=LATENCY, budget=budget)


@pytest.mark.parametrize("space", [*SPACES, DDIMSpace(1, 1), DPMSolverSpace(1, 1)])
@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_paper_mutation_stays_valid_and_changes_at_most_ten_slots(space, seed):
    rng = np.random.default_rng(seed)
    X = space.random(50, rng, null=0.5)
    before = X.copy()
    Y = mutate_slots(space, X, rng)
    space.check(Y)
    assert (X != Y).sum(axis=1).max() <= 10
    np.testing.assert_array_equal(X, before)


def test_paper_mutation_of_one_slot_reaches_exactly_the_valid_neighbors():
    space = DPMSolverSpace(2, 2)
    x = np.array([1, 2, 0, 0, 0, 0])
    reached = np.unique(mutate_slots(space, np.repeat(x[None], 4000, axis=0), np.random.default_rng(0), most=1), axis=0)
    expected = np.unique(np.concatenate([space.neighbors(x), x[None]]), axis=0)
    np.testing.assert_array_equal(reached, expected)
    # the first model may not vanish before the second, nor a third slot fill before it
    assert not (reached == [0, 2, 0, 0, 0, 0]).all(axis=1).any()
    assert not (reached == [1, 2, 0, 0, 1, 0]).all(axis=1).any()


def test_paper_mutation_draws_evenly():
    space = DDIMSpace(3, 2)
    Y = mutate_slots(space, np.full((8000, 2), 1), np.random.default_rng(0), most=1)
    changed = Y[(Y != 1).any(axis=1)]
    values = changed[changed != 1]  # the redrawn slot's new value: 0, 2 or 3
    shares = np.bincount(values, minlength=4)[[0, 2, 3]] / len(values)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.03)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("seed", range(5))
def test_first_schedule_costs_nearly_the_budget(space, seed):
    x = first_schedule(problem(space, 20.0), np.random.default_rng(seed))
    space.check(x)
    assert WINDOW * 20.0 <= space.latency(x, LATENCY)[0] <= 20.0


def test_first_schedule_where_the_budget_cannot_be_spent():
    space = SPACES[0]
    x = first_schedule(problem(space, 1000.0), np.random.default_rng(0))
    space.check(x)


def test_evolution_keeps_its_population_size():
    result = make_optimizer("evolution", population=5, children=7, rounds=3).run(
        problem(SPACES[0], 20.0), evaluations=1000, seed=0
    )
    assert result.evaluations <= 1 + 3 * 7
    assert len(result) <= 5 + len(result.front())


@pytest.mark.parametrize("space", SPACES)
@given(seed=st.integers(0, 1000), budget=st.floats(1.0, 60.0))
@settings(max_examples=40, deadline=None)
def test_repair_keeps_to_the_budget_and_leaves_the_rest(space, seed, budget):
    rng = np.random.default_rng(seed)
    X = space.random(40, rng, null=0.4)
    limited = problem(space, budget)
    Y = within_budget(limited, X, rng)
    space.check(Y)
    assert limited.fits(Y).all()
    within = limited.fits(X)
    np.testing.assert_array_equal(Y[within], X[within])


def test_repair_may_spend_all_of_the_budget():
    space = DDIMSpace(1, 9)
    limited = SearchProblem(space=space, predictor=Nothing(), latency=[0.1], budget=0.1 * 3)
    Y = within_budget(limited, np.ones((50, 9), dtype=np.int64), np.random.default_rng(0))
    assert (space.nfe(Y) == 3).all()


@pytest.mark.parametrize("space", SPACES)
def test_designs_spread_over_latency(space):
    free = problem(space)
    cost = free.cost(space.check(stratified(free, 400, np.random.default_rng(0))))
    shares = np.histogram(cost, bins=3, range=(0.0, 0.75 * free.limit))[0] / 400  # only the slowest member costs more
    assert shares.min() > 0.15
    if isinstance(space, DPMSolverSpace):
        orders = space.orders_of(stratified(free, 400, np.random.default_rng(0)))
        assert set(np.unique(orders)) == {0, 1, 2, 3}


@pytest.mark.parametrize("move", sorted(set(MOVES), key=lambda move: move.__name__))
@pytest.mark.parametrize("width", [1, 3])
def test_each_move_changes_some_rows_and_keeps_the_members(move, width):
    space = DPMSolverSpace(3, 4)
    X = space.random(200, np.random.default_rng(0), null=0.5)
    before = X.copy()
    Y = move(X.reshape(200, -1, width), 3, np.random.default_rng(1)).reshape(X.shape)
    np.testing.assert_array_equal(X, before)
    assert Y.min() >= 0 and Y.max() <= 3
    assert (X != Y).any(axis=1).mean() > 0.2


@pytest.mark.parametrize("space", SPACES)
def test_mutation_and_crossover(space):
    rng = np.random.default_rng(0)
    A, B = space.random(300, rng, null=0.5), space.random(300, rng, null=0.5)
    assert (space.repair(mutate(space, A, rng), rng) != A).any(axis=1).mean() > 0.5
    C, D = cross(space, A, B, rng)
    assert (((C == A) & (D == B)) | ((C == B) & (D == A))).all()
    filled = C.any(axis=1)
    assert space.valid(C[filled]).all()  # whole solvers are exchanged


@pytest.mark.parametrize("most", [1, 3, 8, 12])
def test_the_lowest_keys_are_those_of_a_sort(most):
    keys = np.random.default_rng(0).random((30, 8))
    np.testing.assert_array_equal(_lowest(keys, most)[:, :most], np.argsort(keys, axis=1)[:, :most])


def population(F, crowding=None):
    from pymoo.core.population import Population

    pop = Population.new("X", np.zeros((len(F), 1)), "F", np.asarray(F, dtype=float))
    if crowding is not None:
        pop.set("crowding", np.asarray(crowding, dtype=float))
        pop.set("rank", np.zeros(len(F)))
    return pop


def test_the_tournament_decides_as_pymoos():
    """Wherever chance has no part in it."""
    from types import SimpleNamespace

    from pymoo.algorithms.moo.nsga2 import binary_tournament

    rng = np.random.default_rng(1)
    pop = population(rng.integers(4, size=(40, 2)), rng.permutation(40))
    pairs = rng.integers(40, size=(500, 2))
    ours = tournament(pop, pairs, random_state=rng)
    algorithm = SimpleNamespace(tournament_type="comp_by_dom_and_crowding", random_state=rng)
    np.testing.assert_array_equal(ours, binary_tournament(pop, pairs, algorithm))


def test_the_tournament_of_equals_is_a_coin():
    rng = np.random.default_rng(2)
    for pop in (population([[1, 2], [1, 2]], [np.inf, np.inf]), population([[3], [3]])):
        won = tournament(pop, np.tile([[0, 1]], (2000, 1)), random_state=rng)
        assert 0.45 < won.mean() < 0.55
    assert (tournament(population([[1], [2]]), np.tile([[1, 0]], (9, 1)), random_state=rng) == 0).all()


@pytest.mark.parametrize("space", SPACES)
def test_mating_brings_new_schedules_within_the_budget(space):
    searched = problem(space, budget=9.0)
    rng = np.random.default_rng(3)
    ledger = Ledger(searched, 10_000)
    X = space.canonical(stratified(searched, 20, rng))
    pop = population(np.column_stack([ledger.score(X), searched.cost(X)]), np.arange(20))
    pop.set("X", X)
    children = ScheduleMating(searched, ledger).do(None, pop, 30, random_state=rng).get("X").astype(np.int64)
    assert len(children) == 30 == len(np.unique(children, axis=0))
    assert ledger.unseen(children).all() and searched.fits(children).all()
    np.testing.assert_array_equal(space.canonical(space.check(children)), children)


def test_mating_ends_where_nothing_is_new():
    """Of a space that is all known but for one schedule, that one is found; then none."""
    space = DDIMSpace(2, 2)
    searched = SearchProblem(space=space, predictor=Nothing(), latency=LATENCY[:2])
    ledger = Ledger(searched, 100)
    X = space.canonical(space.enumerate())
    ledger.score(X[:-1])
    pop = population(np.arange(2 * (len(X) - 1)).reshape(-1, 2), np.arange(len(X) - 1))
    pop.set("X", X[:-1])
    mating, rng = ScheduleMating(searched, ledger), np.random.default_rng(4)
    assert mating.do(None, pop, 5, random_state=rng).get("X").tolist() == X[-1:].tolist()
    ledger.score(X[-1:])
    assert len(mating.do(None, pop, 5, random_state=rng)) == 0
