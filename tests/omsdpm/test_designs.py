import numpy as np
import pytest

from omsdpm import DDIMSpace, DPMSolverSpace, InputError, ScheduleDataset
from omsdpm.dataset.designs import DESIGNS, Setting, draw
from omsdpm.noise import DiscreteVP, LinearVP
from omsdpm.sampling import count_evaluations

SPACES = [DDIMSpace(4, 20), DPMSolverSpace(4, 6)]
LATENCY = [1.0, 2.0, 4.0, 8.0]


def measured(space, n=200):
    """Schedules whose score is better the more they cost, so that refining is visible."""
    X = space.random(n, np.random.default_rng(0), null=0.6)
    return ScheduleDataset(space, X, np.abs(X - 2).sum(axis=1).astype(float), metric="fd-digits")


def setting(space, window=None, **options):
    return Setting(space, LATENCY, measured(space), window, options)


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("name", sorted(set(DESIGNS) - {"exhaustive"}))
def test_draws_are_new_valid_unique_reproducible_and_in_the_window(space, name):
    case = setting(space, window=(10.0, 40.0))
    X = draw(name, case, 70, np.random.default_rng(1))
    assert X.shape == (70, space.length)
    assert space.valid(X).all()
    ms = space.latency(X, LATENCY)
    assert (ms >= 10).all()
    assert (ms <= 40).all()
    rows = {row.tobytes() for row in space.canonical(X)}
    assert len(rows) == 70
    assert rows.isdisjoint(row.tobytes() for row in space.canonical(case.measured.X))
    assert (draw(name, case, 70, np.random.default_rng(1)) == X).all()


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_stratified_covers_the_window_more_evenly_than_random(space):
    def unevenness(name):
        X = draw(name, setting(space, window=(8.0, 48.0)), 400, np.random.default_rng(2))
        return np.histogram(space.latency(X, LATENCY), bins=8, range=(8, 48))[0].std()

    assert unevenness("stratified") < 0.75 * unevenness("random")


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_tree_shares_more_evaluations_than_random(space):
    noise = LinearVP() if isinstance(space, DPMSolverSpace) else DiscreteVP.linear()

    def share(name):
        X = draw(name, setting(space, branches=10), 300, np.random.default_rng(3))
        count = count_evaluations(X, space=space, noise=noise)
        return count.saved / count.one_by_one

    assert share("tree") > 1.5 * share("random")


def test_refine_draws_better_schedules_than_random():
    space = DDIMSpace(4, 20)
    case = setting(space)

    def mean_score(name):
        X = draw(name, case, 200, np.random.default_rng(4))
        return np.abs(X - 2).sum(axis=1).mean()

    assert mean_score("refine") < mean_score("random")


def test_exhaustive_is_the_whole_space():
    space = DDIMSpace(2, 4)
    empty = ScheduleDataset(space, np.empty((0, 4), int), np.empty(0))
    X = draw("exhaustive", Setting(space, [1.0, 2.0], empty, None, {}), 0, np.random.default_rng(0))
    assert len(X) == space.cardinality


def test_bad_input():
    with pytest.raises(InputError, match="unknown design 'trees'; choose one of: tree"):
        draw("trees", setting(SPACES[0]), 5, np.random.default_rng(0))
    with pytest.raises(InputError, match="found 0 new schedules of 5"):
        draw("random", setting(SPACES[0], window=(1000.0, 2000.0)), 5, np.random.default_rng(0))
    empty = ScheduleDataset(SPACES[0], np.empty((0, 20), int), np.empty(0))
    with pytest.raises(InputError, match="put a random round before it"):
        draw("refine", Setting(SPACES[0], LATENCY, empty, None, {}), 5, np.random.default_rng(0))
