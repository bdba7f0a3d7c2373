"""The search problem and what it refuses."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from omsdpm.errors import InputError, InputWarning
from omsdpm.latency import LatencyTable
from omsdpm.solvers import DDIMSpace
from studies import Ledger, SearchProblem, make_optimizer

SPACE = DDIMSpace(2, 4)


class Constant:
    def __init__(self, answer=1.0):
        self.answer = answer

    def predict(self, X):
        return np.full(len(X), self.answer)


def make(**changes):
    return SearchProblem(**({"space": SPACE, "predictor": Constant(), "latency": [3.0, 2.5], "budget": 8.0} | changes))


def test_budget_below_the_cheapest_schedule():
    with pytest.raises(InputError, match=r"budget 2 ms .* at least 2\.5 ms, one step of member 2"):
        make(budget=2)
    with pytest.raises(InputError, match="budget nan ms"):
        make(budget=float("nan"))


def test_latency_table_of_another_zoo():
    with pytest.raises(InputError, match="latency table"):
        make(latency=[1.0, 2.0, 3.0])


def test_cost_and_fits():
    problem = make()
    X = np.array([[1, 1, 0, 0], [1, 1, 2, 0]])
    assert problem.cost(X).tolist() == [6.0, 8.5]
    assert problem.fits(X).tolist() == [True, False]
    assert make(budget=None).fits(X).all()
    assert make(budget=None).limit == 12.0


@pytest.mark.parametrize("answer", [np.nan, np.inf])
def test_predictor_of_nonsense(answer):
    with pytest.raises(InputError, match=r"predictor gave .* expected finite"):
        make(predictor=Constant(answer)).score([[1, 0, 0, 0]])


def test_predictor_of_wrong_shape():
    class Column(Constant):
        def predict(self, X):
            return np.ones((len(X), 1))

    with pytest.raises(InputError, match="expected \\(n,\\)"):
        make(predictor=Column()).score([[1, 0, 0, 0]])


def test_ledger_refuses_and_remembers():
    problem = make()
    ledger = Ledger(problem, evaluations=3)
    X = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 2, 0, 0]])
    assert ledger.unseen(X).tolist() == [True, False, True, True, True]
    assert ledger.score(X).tolist() == [1.0, 1.0, np.inf, np.inf, 1.0]
    assert ledger.score([[0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0]]).tolist() == [1.0, np.inf, 1.0]
    assert problem.scored == len(ledger) == 3
    assert not ledger.open


def test_best_within_a_budget_that_nothing_fits():
    ledger = Ledger(make(), evaluations=3)
    ledger.score([[1, 2, 0, 0], [0, 1, 0, 0]])
    result = ledger.result()
    assert result.best(4.0).tolist() == [0, 1, 0, 0]
    with pytest.raises(InputError, match=r"budget 2\.6 ms: the cheapest .* costs 3 ms"):
        result.best(2.6)


def test_a_budget_that_limits_nothing_is_told():
    """As with a table in seconds, where every schedule is within it."""
    space, predictor = DDIMSpace(2, 4), SimpleNamespace(predict=lambda X: np.zeros(len(X)))
    with pytest.warns(InputWarning, match=r"budget 50 ms is more than the dearest schedule takes, 0\.08 ms"):
        SearchProblem(space=space, predictor=predictor, latency=[0.01, 0.02], budget=50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SearchProblem(space=space, predictor=predictor, latency=[10, 20], budget=80)


def test_a_budget_that_is_a_schedules_own_cost_includes_it():
    rng = np.random.default_rng(0)
    space, latency = DDIMSpace(6, 20), rng.random(6) * 9
    X = space.random(300, rng, null=0.3)
    for x, cost in zip(X, space.latency(X, latency.tolist()), strict=True):
        problem = SearchProblem(space=space, predictor=None, latency=latency, budget=float(cost))
        assert problem.fits(x).all()
        assert problem.fits(X)[(x == X).all(axis=1)].all()


@pytest.mark.parametrize("name", ["nsga2", "random", "local", "anneal", "evolution", "tpe", "ga", "moead"])
def test_no_optimizer_leaves_a_budget_that_counts_switches(name):

    space, table = DDIMSpace(3, 8), LatencyTable([1.0, 2.0, 4.0], step=0.5, switch=2.0)
    rng = np.random.default_rng(0)
    weights = rng.random((8, 4))

    class Additive:
        def predict(self, X):
            return -weights[np.arange(8), X].sum(axis=1)

    problem = SearchProblem(space=space, predictor=Additive(), latency=table, budget=9.0)
    assert (problem.cheapest, problem.table.switch) == (1.5, 2.0)
    result = make_optimizer(name).run(problem, evaluations=150, seed=0)
    assert (result.latency <= 9.0).all()
    np.testing.assert_array_equal(result.latency, space.latency(result.X, table))
    assert (result.history.latency <= 9.0).all()
    with pytest.raises(InputError, match=r"1\.5 ms, one step of member 1"):
        SearchProblem(space=space, predictor=Additive(), latency=table, budget=1.2)
