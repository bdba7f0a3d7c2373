import numpy as np
import pytest

from omsdpm.errors import InputError
from predictors import load_predictor
from predictors.ensemble import EnsemblePredictor

PARAMETERS = {"gbdt": {"trees": 80}}


def ensemble(landscape, members=("gbdt", "ridge"), parameters=PARAMETERS, **more):
    return EnsemblePredictor(landscape.space, members=members, parameters=parameters, **more)


def test_weights_favor_the_better_member(ddim_landscape):
    parameters = {"gbdt": {"trees": 1, "learning_rate": 1e-3}}  # next to the mean of all scores
    fitted = ensemble(ddim_landscape, parameters=parameters).fit(ddim_landscape.X, ddim_landscape.y)
    assert fitted.weights_[1] > 0.6
    assert fitted.weights_.sum() == pytest.approx(1)


def test_prediction_is_the_weighted_mean_of_logarithms(ddim_landscape):
    fitted = ensemble(ddim_landscape).fit(ddim_landscape.X, ddim_landscape.y)
    scores = np.column_stack([np.log(member.predict(ddim_landscape.X_test)) for member in fitted.members_])
    expected = fitted.target_.inverse(scores @ fitted.weights_)
    assert np.allclose(fitted.predict(ddim_landscape.X_test), expected)


def test_the_lstm_has_more_networks_unless_told_otherwise(ddim_landscape):
    X, y = ddim_landscape.X[:12], ddim_landscape.y[:12]
    for parameters, networks in (({"lstm": {"updates": 1}}, 6), ({"lstm": {"updates": 1, "networks": 2}}, 2)):
        fitted = ensemble(ddim_landscape, ("lstm", "ridge"), parameters).fit(X, y)
        assert fitted.members_[0].networks == networks and fitted.members_[0].updates == 1


def test_a_family_twice_gets_two_seeds(ddim_landscape):
    fitted = ensemble(ddim_landscape, members=("gbdt", "gbdt")).fit(ddim_landscape.X, ddim_landscape.y)
    first, second = (member.predict(ddim_landscape.X_test) for member in fitted.members_)
    assert not np.array_equal(first, second)


def test_without_refit_members_know_only_a_part(ddim_landscape):
    X, y = ddim_landscape.X[:60], ddim_landscape.y[:60]
    once, twice = (ensemble(ddim_landscape, refit=refit).fit(X, y) for refit in (False, True))
    assert np.array_equal(once.weights_, twice.weights_)
    assert not np.array_equal(once.predict(ddim_landscape.X_test), twice.predict(ddim_landscape.X_test))


def test_intervals_hold_what_they_say(landscape, tmp_path):
    fitted = ensemble(landscape).fit(landscape.X, landscape.y)
    for level in (0.5, 0.9):
        low, high = fitted.predict_interval(landscape.X_test, level)
        covered = np.mean((low <= landscape.y_test) & (landscape.y_test <= high))
        assert level - 0.2 <= covered <= level + 0.25
    fitted.save(tmp_path / "p")
    loaded = load_predictor(tmp_path / "p")
    assert np.array_equal(loaded.predict_std(landscape.X_test), fitted.predict_std(landscape.X_test))


def test_scores_of_both_signs_and_few_labels(ddim_landscape):
    y = ddim_landscape.y - np.median(ddim_landscape.y)
    for n in (2, 19, 20, 60):
        fitted = ensemble(ddim_landscape).fit(ddim_landscape.X[:n], y[:n])
        assert np.isfinite(fitted.predict(ddim_landscape.X_test)).all()
        assert (fitted.predict_std(ddim_landscape.X_test) > 0).all()


def test_validation_schedules_take_the_place_of_the_held_out_part(ddim_landscape):
    X, y = ddim_landscape.X, ddim_landscape.y
    fitted = ensemble(ddim_landscape).fit(X[:15], y[:15], X[15:], y[15:])
    assert fitted.weights_[0] != fitted.weights_[1]


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"members": ()}, "one family or more"),
        ({"members": "gp"}, "one family or more"),
        ({"members": ("gp", "oracle")}, "unknown predictor 'oracle'"),
        ({"parameters": {"lstm": {}}}, "member of the ensemble 'lstm'"),
        ({"parameters": {"gbdt": {"tress": 3}}}, "'tress'"),
        ({"held_out": 0.9}, "at most 0.5"),
    ],
)
def test_wrong_arguments_are_input_errors(ddim_landscape, parameters, match):
    arguments = {"parameters": None} | parameters
    with pytest.raises(InputError, match=match):
        ensemble(ddim_landscape, **arguments).fit(ddim_landscape.X, ddim_landscape.y)
