import numpy as np
import pytest

from omsdpm.errors import InputError
from predictors import load_predictor
from predictors.features import structural_features
from predictors.gbdt import NEVER_BETTER, GBDTPredictor


def fit(landscape, **parameters):
    return GBDTPredictor(landscape.space, trees=150, **parameters).fit(landscape.X, landscape.y)


@pytest.mark.parametrize("objective", ["regression", "ranking"])
def test_both_objectives_rank_and_keep_the_scale(objective, ddim_landscape, tmp_path):
    predictor = fit(ddim_landscape, objective=objective)
    assert predictor.score(ddim_landscape.X_test, ddim_landscape.y_test) > 0.6
    predicted = predictor.predict(ddim_landscape.X_test)
    error = np.log(predicted) - np.log(ddim_landscape.y_test)
    assert np.abs(np.median(error)) < 0.3 * np.log(ddim_landscape.y_test).std()
    predictor.save(tmp_path / "p")
    assert np.array_equal(load_predictor(tmp_path / "p").predict(ddim_landscape.X_test), predicted)


def test_ranking_takes_validation_schedules(ddim_landscape):
    predictor = GBDTPredictor(ddim_landscape.space, objective="ranking", trees=300)
    predictor.fit(ddim_landscape.X[:100], ddim_landscape.y[:100], ddim_landscape.X[100:], ddim_landscape.y[100:])
    assert predictor.score(ddim_landscape.X_test, ddim_landscape.y_test) > 0.5


def test_unknown_objective_is_an_input_error(ddim_landscape):
    with pytest.raises(InputError, match="regresion"):
        fit(ddim_landscape, objective="regresion")


def test_monotone_trees_never_score_wider_gaps_better(ddim_landscape, monkeypatch):
    predictor = fit(ddim_landscape)
    before = predictor.predict(ddim_landscape.X_test)

    def wider(*arguments):
        features, names = structural_features(*arguments)
        features[:, [names.index(name) for name in NEVER_BETTER]] += 0.1
        return features, names

    monkeypatch.setattr("predictors.gbdt.structural_features", wider)
    after = predictor.predict(ddim_landscape.X_test)
    assert (after >= before).all()
    assert (after > before).any()


def test_threads_are_those_of_openmp(ddim_landscape, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert GBDTPredictor(ddim_landscape.space)._threads == 3
    assert GBDTPredictor(ddim_landscape.space, threads=1)._threads == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")
    assert GBDTPredictor(ddim_landscape.space)._threads >= 1
