"""What every registered optimizer must do, a third party's included."""

import subprocess
import sys

import numpy as np
import pytest

from omsdpm.errors import InputError
from omsdpm.solvers import DDIMSpace, DPMSolverSpace
from studies import SearchProblem, make_optimizer, optimizer_names

LATENCY = (1.0, 2.5, 6.0)
SPACES = [DDIMSpace(3, 8), DPMSolverSpace(3, 3)]
BUDGETS = [None, 9.0]
EVALUATIONS = 200


class Additive:
    """A score for each (slot, member), better with heavier members; null is worst."""

    def __init__(self, length: int, members: int) -> None:
        rng = np.random.default_rng(7)
        self.table = rng.random((length, members + 1)) + np.linspace(2.0, 0.0, members + 1)
        self.rows: list[np.ndarray] = []

    def predict(self, X):
        self.rows.extend(X.copy())
        return np.take_along_axis(self.table[None], X[:, :, None], axis=2)[:, :, 0].sum(axis=1)


def problem(space, budget=None, latency=LATENCY):
    return SearchProblem(
        space=space, predictor=Additive(space.length, space.num_models), latency=latency, budget=budget
    )


every_search = [
    pytest.param(name, space, budget, id=f"{name}-{space.solver}-{'free' if budget is None else 'budget'}")
    for name in optimizer_names()
    for space in SPACES
    for budget in BUDGETS
]


def test_ours_are_registered():
    assert {"nsga2", "tpe", "evolution", "random"} <= set(optimizer_names())


@pytest.mark.parametrize(("name", "space", "budget"), every_search)
def test_search(name, space, budget):
    searched = problem(space, budget)
    reports = []
    result = make_optimizer(name).run(
        searched, evaluations=EVALUATIONS, seed=3, progress=lambda done, total: reports.append((done, total))
    )
    # what comes back is valid, within budget, unique and sorted out correctly
    space.check(result.X)
    np.testing.assert_array_equal(result.latency, space.latency(result.X, LATENCY))
    assert budget is None or (result.latency <= budget).all()
    assert len(np.unique(space.canonical(result.X), axis=0)) == len(result)
    np.testing.assert_allclose(result.scores, Additive(space.length, space.num_models).predict(result.X))
    # what was paid for
    rows = np.array(searched.predictor.rows)
    assert result.evaluations == searched.scored == len(rows) <= EVALUATIONS
    assert len(np.unique(space.canonical(rows), axis=0)) == len(rows)
    assert budget is None or (space.latency(rows, LATENCY) <= budget).all()
    assert result.evaluations > EVALUATIONS // 2  # an allowance is there to be used
    # front, best and history speak of everything seen
    front = result.front()
    assert (np.diff(front.latency) > 0).all() and (np.diff(front.scores) < 0).all()
    assert result.scores[result.best_index()] == result.history.scores.min() == result.history.best[-1]
    assert result.history.evaluations[-1] == result.evaluations == len(result.history.scores)
    assert reports[-1] == (result.evaluations, EVALUATIONS)
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)
    # better than what chance gives
    chance = space.random(1000, np.random.default_rng(0))
    chance = space.canonical(chance[searched.fits(chance)])
    assert result.scores.min() < np.median(Additive(space.length, space.num_models).predict(chance))


@pytest.mark.parametrize(("name", "space", "budget"), every_search)
def test_same_seed_same_result(name, space, budget):
    one, two, other = (
        make_optimizer(name).run(problem(space, budget), evaluations=160, seed=seed) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(one.X, two.X)
    np.testing.assert_array_equal(one.history.scores, two.history.scores)
    assert not np.array_equal(one.history.scores, other.history.scores)


@pytest.mark.parametrize("name", optimizer_names())
@pytest.mark.parametrize("evaluations", [1, 7])
def test_small_allowance(name, evaluations):
    result = make_optimizer(name).run(problem(SPACES[0], 9.0), evaluations=evaluations, seed=0)
    assert 1 <= result.evaluations <= evaluations
    assert len(result) >= 1


@pytest.mark.parametrize("name", optimizer_names())
def test_ends_when_the_space_is_exhausted(name):
    space = DDIMSpace(2, 2)
    result = make_optimizer(name).run(problem(space, latency=(1.0, 2.0)), evaluations=1000, seed=0)
    assert result.evaluations <= space.cardinality
    assert result.evaluations == len(result.history.scores)


@pytest.mark.parametrize("name", optimizer_names())
def test_budget_of_exactly_the_cheapest_schedule(name):
    result = make_optimizer(name).run(problem(SPACES[1], 1.0), evaluations=50, seed=0)
    assert (result.latency == 1.0).all()


@pytest.mark.parametrize("name", optimizer_names())
def test_global_randomness_is_left_alone(name):
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    make_optimizer(name).run(problem(SPACES[0]), evaluations=150, seed=0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize("space", [DDIMSpace(3, 7), DPMSolverSpace(3, 3)])
@pytest.mark.parametrize("budget", [10.0, 16.0])
def test_nsga2_finds_the_optimum(space, budget):
    everything = space.enumerate()
    everything = everything[space.latency(everything, LATENCY) <= budget]
    everything = np.unique(space.canonical(everything), axis=0)
    optimum = Additive(space.length, space.num_models).predict(everything).min()
    evaluations = len(everything) // 2
    result = make_optimizer("nsga2").run(problem(space, budget), evaluations=min(evaluations, 2000), seed=0)
    assert result.scores.min() == pytest.approx(optimum)


def test_one_nsga2_run_finds_the_front():
    space = DDIMSpace(3, 6)
    everything = space.enumerate()
    cost = space.latency(everything, LATENCY)
    scores = Additive(6, 3).predict(everything)
    result = make_optimizer("nsga2").run(problem(space), evaluations=2500, seed=0)
    for budget in (3.0, 9.0, 15.0, 36.0):
        assert result.scores[result.best_index(budget)] == pytest.approx(scores[cost <= budget].min())


def test_unknown_optimizer_names_the_nearest_first():
    with pytest.raises(InputError, match="unknown optimizer 'nsga3'; choose one of: nsga2, "):
        make_optimizer("nsga3")


def test_unknown_parameter_names_the_nearest_first():
    with pytest.raises(InputError, match="'populatoin'; choose one of: population, "):
        make_optimizer("nsga2", populatoin=3)


@pytest.mark.parametrize("wrong", [{"evaluations": 0}, {"evaluations": 2.5}, {"seed": -1}])
def test_wrong_arguments(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        make_optimizer("random").run(problem(SPACES[0]), **({"evaluations": 10, "seed": 0} | wrong))


def test_importing_studies_imports_no_optimization_library():
    code = "import studies, sys; studies.optimizer_names(); print([m for m in sys.modules if '.' not in m])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"pymoo", "optuna", "torch", "pandas", "sklearn", "matplotlib"} & set(eval(loaded))
