"""The search problem and what it refuses."""

import numpy as np
import pytest

from omsdpm.errors import InputError
from omsdpm.solvers import DDIMSpace
from studies import Ledger, SearchProblem

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
