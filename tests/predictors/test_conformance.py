"""What every registered predictor must do; a plug-in that is installed is tested too."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from omsdpm.errors import InputError
from omsdpm.solvers import DPMSolverSpace
from predictors import Predictor, load_predictor, make_predictor, predictor_class, predictor_names

QUICK = {
    "updates": 60,
    "epochs": 100,
    "threshold": 1e-4,  # the paper's is on raw scores, and the DPM-Solver landscape has a few huge ones
    "batch_size": 64,
    "trees": 150,
    "tune_size": 60,
    "networks": 2,
    "members": ("gp", "deepsets"),
    "parameters": {"gp": {"tune_size": 40}, "deepsets": {"updates": 30, "networks": 2}},
}
"""Smaller than the defaults, for the families that have such a parameter."""


def make(name, space, **parameters):
    known = predictor_class(name)._get_param_names()
    quick = {key: value for key, value in QUICK.items() if key in known}
    return make_predictor(name, space=space, **(quick | parameters))


def fit_few(name, landscape, n=40, **parameters):
    return make(name, landscape.space, **parameters).fit(landscape.X[:n], landscape.y[:n])


pytestmark = pytest.mark.parametrize("name", predictor_names())


def test_learns_a_landscape(name, landscape):
    predictor = make(name, landscape.space).fit(landscape.X, landscape.y)
    rho = stats.spearmanr(predictor.predict(landscape.X_test), landscape.y_test).statistic
    floor = 0.5 if name == "ridge" else 0.6  # a linear family is in the table as the floor
    assert rho > floor
    assert predictor.score(landscape.X_test, landscape.y_test) > floor - 0.2


def test_predictions_are_finite_floats_one_a_schedule(name, landscape):
    predictor = fit_few(name, landscape)
    predicted = predictor.predict(landscape.X_test)
    assert predicted.shape == (len(landscape.X_test),)
    assert predicted.dtype == np.float64
    assert np.isfinite(predicted).all()
    assert predictor.predict(landscape.X_test[0]).shape == (1,)
    assert predictor.predict(landscape.X_test[:0]).shape == (0,)


def test_equal_schedules_get_equal_predictions(name, landscape):
    predictor = fit_few(name, landscape)
    X = landscape.X_test[:30]
    twice = predictor.predict(np.concatenate([X, X[::-1]]))
    assert np.array_equal(twice[:30], twice[30:][::-1])
    if isinstance(landscape.space, DPMSolverSpace):
        rotated = np.roll(landscape.space.groups(X), 1, axis=1).reshape(X.shape)
        same = (landscape.space.canonical(rotated) == X).all(axis=1)  # the last solver was skipped
        assert same.any()
        assert not same.all()
        predicted = predictor.predict(np.concatenate([rotated, X]))
        assert np.array_equal((predicted[:30] == predicted[30:]), same)


def test_the_same_random_state_gives_the_same_predictions(name, ddim_landscape):
    first, second = (
        fit_few(name, ddim_landscape, random_state=np.random.RandomState(3)).predict(ddim_landscape.X_test)
        for _ in range(2)
    )
    assert np.array_equal(first, second)


def test_global_random_states_are_left_alone(name, ddim_landscape):
    import torch

    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    fit_few(name, ddim_landscape)
    assert np.array_equal(np.random.get_state()[1], numpy_before)
    assert torch.equal(torch.random.get_rng_state(), torch_before)


def test_clone_is_unfitted_with_equal_parameters(name, ddim_landscape):
    predictor = fit_few(name, ddim_landscape, random_state=7)
    copy = clone(predictor)
    assert copy.get_params() == predictor.get_params()
    assert copy.random_state == 7
    assert not hasattr(copy, "target_")
    fitted = copy.fit(ddim_landscape.X[:40], ddim_landscape.y[:40])
    assert np.array_equal(fitted.predict(ddim_landscape.X_test), predictor.predict(ddim_landscape.X_test))


def test_cross_validation_scores_kendall_tau(name, ddim_landscape):
    scores = cross_val_score(make(name, ddim_landscape.space), ddim_landscape.X[:80], ddim_landscape.y[:80], cv=2)
    assert scores.shape == (2,)
    assert (np.abs(scores) <= 1).all()
    assert scores.mean() > 0.2


def test_save_and_load_predict_equally(name, landscape, tmp_path):
    predictor = fit_few(name, landscape, latency=(1.0, 2.0, 4.0), random_state=5)
    folder = tmp_path / "deep" / "predictor"
    predictor.save(folder)
    predictor.save(folder)  # replaces what is there
    for loaded in (load_predictor(folder), type(predictor).load(folder), Predictor.load(folder)):
        assert type(loaded) is type(predictor)
        assert np.array_equal(loaded.predict(landscape.X_test), predictor.predict(landscape.X_test))
        assert loaded.space == landscape.space
        assert loaded.random_state == 5
        if loaded.has_std:
            assert np.allclose(loaded.predict_std(landscape.X_test), predictor.predict_std(landscape.X_test))
    assert [path.name for path in folder.parent.iterdir()] == ["predictor"]
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".joblib")]


def test_damaged_and_missing_folders_are_input_errors(name, ddim_landscape, tmp_path):
    predictor = fit_few(name, ddim_landscape)
    predictor.save(tmp_path / "p")
    arrays = tmp_path / "p" / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-8])
    with pytest.raises(InputError, match="save the predictor again"):
        load_predictor(tmp_path / "p")
    (tmp_path / "p" / "predictor.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        load_predictor(tmp_path / "p")
    with pytest.raises(InputError, match="no predictor"):
        load_predictor(tmp_path / "nothing")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("chapter 1")
    with pytest.raises(InputError, match="not a saved predictor"):
        predictor.save(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "chapter 1"


def test_constant_targets_are_predicted(name, ddim_landscape):
    for constant in (3.0, 0.0, -2.0):
        predictor = make(name, ddim_landscape.space).fit(ddim_landscape.X[:20], np.full(20, constant))
        assert np.allclose(predictor.predict(ddim_landscape.X_test), constant, atol=0.2)
        assert predictor.score(ddim_landscape.X_test, np.full(len(ddim_landscape.X_test), constant)) == 0


def test_two_training_rows_are_enough_and_one_is_not(name, landscape):
    predictor = make(name, landscape.space).fit(landscape.X[:2], landscape.y[:2])
    assert np.isfinite(predictor.predict(landscape.X_test)).all()
    with pytest.raises(InputError, match="at least 2"):
        make(name, landscape.space).fit(landscape.X[:1], landscape.y[:1])


def test_duplicate_rows_with_different_scores(name, ddim_landscape):
    X = np.repeat(ddim_landscape.X[:15], 3, axis=0)
    y = np.repeat(ddim_landscape.y[:15], 3) * np.tile([0.9, 1.0, 1.1], 15)
    predicted = make(name, ddim_landscape.space).fit(X, y).predict(ddim_landscape.X_test)
    assert np.isfinite(predicted).all()


def test_members_unseen_in_training_are_scored(name, landscape):
    seen = np.minimum(landscape.X[:40], 2)
    predictor = make(name, landscape.space).fit(seen, landscape.y[:40])
    unseen = np.where(landscape.X_test > 0, 3, 0)
    assert np.isfinite(predictor.predict(unseen)).all()


def test_scores_of_any_sign_and_size(name, ddim_landscape):
    X = ddim_landscape.X[:40]
    for y in (np.linspace(-5, 5, 40), np.geomspace(1e-9, 1e9, 40), np.linspace(1e6, 1e6 + 1, 40)):
        predictor = make(name, ddim_landscape.space).fit(X, y)
        assert np.isfinite(predictor.predict(ddim_landscape.X_test)).all()


def test_validation_schedules_may_be_given(name, ddim_landscape):
    held_out = ddim_landscape.X_test[:50], ddim_landscape.y_test[:50]
    predictor = make(name, ddim_landscape.space).fit(ddim_landscape.X[:80], ddim_landscape.y[:80], *held_out)
    assert predictor.score(ddim_landscape.X_test[50:], ddim_landscape.y_test[50:]) > 0.2
    with pytest.raises(InputError, match="both or neither"):
        make(name, ddim_landscape.space).fit(ddim_landscape.X, ddim_landscape.y, X_validation=ddim_landscape.X_test)


def test_input_is_not_changed(name, ddim_landscape):
    X, y, X_test = ddim_landscape.X[:40].copy(), ddim_landscape.y[:40].copy(), ddim_landscape.X_test.copy()
    for array in (X, y, X_test):
        array.setflags(write=False)
    make(name, ddim_landscape.space).fit(X, y).predict(X_test)
    assert np.array_equal(X, ddim_landscape.X[:40])
    assert np.array_equal(X_test, ddim_landscape.X_test)


def test_uncertainty_covers_what_it_says(name, ddim_landscape):
    predictor = make(name, ddim_landscape.space).fit(ddim_landscape.X, ddim_landscape.y)
    if not predictor.has_std:
        with pytest.raises(InputError, match="no uncertainty"):
            predictor.predict_std(ddim_landscape.X_test)
        return
    std = predictor.predict_std(ddim_landscape.X_test)
    assert std.shape == (len(ddim_landscape.X_test),)
    assert (np.isfinite(std) & (std > 0)).all()
    low, high = predictor.predict_interval(ddim_landscape.X_test, 0.9)
    assert 0.75 <= np.mean((low <= ddim_landscape.y_test) & (ddim_landscape.y_test <= high)) <= 1
    with pytest.raises(InputError, match="level"):
        predictor.predict_interval(ddim_landscape.X_test, 1.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_input_errors(name, bad, ddim_landscape):
    y = ddim_landscape.y[:20].copy()
    y[3] = bad
    with pytest.raises(InputError, match="score 3 is"):
        make(name, ddim_landscape.space).fit(ddim_landscape.X[:20], y)


def test_bad_schedules_and_shapes_are_input_errors(name, ddim_landscape):
    X, y = ddim_landscape.X[:20], ddim_landscape.y[:20]
    predictor = make(name, ddim_landscape.space).fit(X, y)
    with pytest.raises(InputError, match="length 9"):
        predictor.predict(X[:, :9])
    with pytest.raises(InputError, match="names member 4"):
        predictor.predict(np.full_like(X, 4))
    with pytest.raises(InputError, match="all null"):
        predictor.fit(np.zeros_like(X), y)
    with pytest.raises(InputError, match="one a schedule"):
        predictor.fit(X, y[:10])
    with pytest.raises(InputError, match="not numbers"):
        predictor.fit(X, ["good"] * 20)
    with pytest.raises(InputError, match="give the space"):
        make(name, None).fit(X, y)
    with pytest.raises(InputError, match="latency table"):
        make(name, ddim_landscape.space, latency=(1.0, 2.0)).fit(X, y)
