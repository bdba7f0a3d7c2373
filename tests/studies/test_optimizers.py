"""What each of our optimizers promises beyond the contract."""

import warnings

import numpy as np
import pytest

from omsdpm.errors import InputError
from omsdpm.pareto import nondominated
from omsdpm.solvers import DDIMSpace, DPMSolverSpace
from studies import make_optimizer
from studies.optimizers.moead import _scale
from studies.optimizers.optuna_parts import remembered
from studies.optimizers.starts import seeded, uniform_schedules
from studies.testing import LATENCY, AdditiveScore, additive_problem

SPACES = [DDIMSpace(3, 7), DPMSolverSpace(3, 3)]


def everything(space, budget):
    """All distinct schedules within the budget, and their scores."""
    X = space.enumerate()
    X = np.unique(space.canonical(X[space.latency(X, LATENCY) <= budget]), axis=0)
    return X, AdditiveScore(space.length, space.num_models).predict(X)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("budget", [10.0, 16.0])
@pytest.mark.parametrize("name", ["ga", "moead", "local", "anneal"])
def test_the_optimum_is_found(name, space, budget):
    X, scores = everything(space, budget)
    evaluations = min(len(X) // 2, 2500)
    result = make_optimizer(name).run(additive_problem(space, budget), evaluations=evaluations, seed=0)
    assert result.scores.min() == pytest.approx(scores.min())


@pytest.mark.parametrize("name", ["local", "moead"])
def test_one_run_finds_the_front(name):
    space = DDIMSpace(3, 6)
    X, scores = everything(space, np.inf)
    cost = space.latency(X, LATENCY)
    result = make_optimizer(name).run(additive_problem(space), evaluations=2500, seed=0)
    front = result.front()
    exact = nondominated(scores, cost)
    assert set(front.latency) <= set(cost[exact])
    assert len(front.latency) >= 0.9 * len(exact)


def test_local_search_ends_in_a_front_without_better_neighbors():
    """All neighbors of the front are scored once the allowance lets it, so none of them is better."""
    space = DPMSolverSpace(3, 2)
    problem = additive_problem(space)
    result = make_optimizer("local").run(problem, evaluations=900, seed=1)
    front = result.front()
    for x, score, ms in zip(front.X, front.scores, front.latency, strict=True):
        near = space.neighbors(x)
        cost = space.latency(near, LATENCY)
        predicted = AdditiveScore(space.length, 3).predict(near)
        better = (predicted <= score) & (cost <= ms) & ((predicted < score) | (cost < ms))
        assert not better.any()


def test_annealing_gets_colder():
    """A hot chain wanders among bad schedules, a cold one does not."""

    def median(heat):
        result = make_optimizer("anneal", heat=heat, annealed=1).run(
            additive_problem(SPACES[0], 12.0), evaluations=300, seed=0
        )
        return np.median(result.history.scores[100:])

    assert median(0.01) < median(10.0)


def test_annealing_then_climbing_leaves_no_better_neighbor():
    space = DDIMSpace(3, 6)
    result = make_optimizer("anneal").run(additive_problem(space, 12.0), evaluations=600, seed=0)
    near = space.neighbors(result.X[result.best_index()])
    near = near[space.latency(near, LATENCY) <= 12.0]
    assert AdditiveScore(6, 3).predict(near).min() >= result.scores.min()


def test_optuna_nsga2_learns_from_generations():
    """Its later generations are better than its first, whose schedules are the designs of nsga2."""
    problem = additive_problem(DDIMSpace(3, 10), 20.0)
    result = make_optimizer("optuna-nsga2[population=20]").run(problem, evaluations=400, seed=2)
    scores = result.history.scores
    first = seeded(additive_problem(DDIMSpace(3, 10), 20.0), 20, np.random.default_rng(0))
    assert len(first) == 20
    assert scores[200:].min() < scores[:20].min()
    assert np.median(scores[200:]) < np.median(scores[:20])


def test_the_gaussian_process_proposes_better_than_its_designs():
    space = DDIMSpace(3, 5)

    def run(seed):
        return make_optimizer("optuna-gp[startup=20,batch=4]").run(
            additive_problem(space, 12.0), evaluations=44, seed=seed
        )

    one, two = run(0), run(0)
    np.testing.assert_array_equal(one.history.scores, two.history.scores)
    scores = one.history.scores
    assert len(scores) == 44
    assert scores[20:].min() < scores[:20].min()
    assert np.median(scores[20:]) < np.median(scores[:20])


def test_the_gaussian_process_gives_up_where_all_is_known():
    result = make_optimizer("optuna-gp[startup=3,batch=2]").run(
        additive_problem(DDIMSpace(2, 2), latency=(1.0, 2.0)), evaluations=50, seed=0
    )
    assert result.evaluations <= 8


def test_moead_scales_the_first_front_to_the_unit_square():
    scores, cost = np.array([100.0, 10.0, 1.0, 200.0]), np.array([10.0, 20.0, 60.0, 70.0])
    scale = _scale(scores, cost)
    np.testing.assert_allclose(scale(scores, cost)[:3], [[1, 0], [0.5, 0.2], [0, 1]])  # the score's logarithm
    np.testing.assert_allclose(_scale(scores - 200.5, cost)(scores[:3] - 200.5, cost[:3])[:, 0], [1, 1 / 11, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _scale(np.ones(1), np.ones(1))(np.ones(1), np.ones(1)).tolist() == [[0, 0]]


def test_moead_warns_of_nothing_when_the_allowance_ends_in_a_generation():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        result = make_optimizer("moead[population=20]").run(additive_problem(SPACES[0]), evaluations=75, seed=0)
    assert result.evaluations == 75


def test_what_a_sampler_remembers():
    values = np.array([5.0, 1.0, 4.0, 2.0, 3.0, 9.0, 8.0])[:, None]
    assert remembered(values, 4).tolist() == [1, 3, 5, 6]  # the two best, the two latest others
    assert remembered(values, 7).tolist() == list(range(7))


def test_starts_hold_uniform_schedules_for_up_to_half():
    problem = additive_problem(DDIMSpace(3, 10), 9.0)
    uniform = {tuple(x) for x in uniform_schedules(problem).tolist()}
    X = seeded(problem, 20, np.random.default_rng(0))
    assert len(X) == 20 and problem.fits(X).all()
    assert sum(tuple(x) in uniform for x in X.tolist()) >= 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("anneal[heat=0]", "heat=0: expected a positive number"),
        ("anneal[annealed=2]", "annealed=2: expected a part of the evaluations"),
        ("anneal[chains=0]", "chains=0: expected a positive integer"),
        ("local[batch=0]", "batch=0: expected a positive integer"),
        ("ga[population=many]", "population='many': expected a positive integer"),
        ("moead[neighbors=0]", "neighbors=0: expected a positive integer"),
        ("optuna-nsga2[mutation=2]", "mutation=2: expected a probability"),
        ("optuna-gp[memory=0]", "memory=0: expected a positive integer"),
    ],
)
def test_parameters_that_are_none(text, message):
    with pytest.raises(InputError, match=message):
        make_optimizer(text)
