import json

import numpy as np
import pytest
import xgboost

from omsdpm.errors import InputError
from predictors import load_predictor
from predictors.features import structural_features
from predictors.folder import read_arrays, write_arrays
from predictors.gbdt import NEVER_BETTER, GBDTPredictor
from predictors.trees import NAMES, Trees


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


@pytest.mark.parametrize("objective", ["regression", "ranking"])
def test_trees_that_an_earlier_version_saved_as_binary_json_are_read(objective, ddim_landscape, tmp_path):
    predictor = fit(ddim_landscape, objective=objective)
    predictor.save(tmp_path / "p")
    as_before(predictor, tmp_path / "p")
    assert np.array_equal(
        load_predictor(tmp_path / "p").predict(ddim_landscape.X_test), predictor.predict(ddim_landscape.X_test)
    )


def as_before(predictor, folder):
    """What a saved predictor's arrays were before trees had a form of ours."""
    arrays = {"booster": np.frombuffer(predictor.booster_.save_raw("ubj"), dtype=np.uint8)}
    if predictor.curve_ is not None:
        arrays |= {"raw": predictor.curve_.raw, "z": predictor.curve_.z}
    write_arrays(folder, arrays)
    header = json.loads((folder / "predictor.json").read_text())
    del header["arrays"], header["learned"]["base_score"]
    (folder / "predictor.json").write_text(json.dumps(header | {"format": 2}))


DAMAGE = {
    "left": (0, 10**6),
    "right": (0, -7),
    "feature": (0, 10**6),
    "value": (0, np.nan),
    "default_left": (0, 2),
    "sizes": (0, 10**9),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_tree_is_told_before_xgboost_sees_it(name, ddim_landscape, tmp_path, monkeypatch):
    fit(ddim_landscape).save(tmp_path / "p")
    arrays = {key: array.copy() for key, array in read_arrays(tmp_path / "p").items()}
    at, value = DAMAGE[name]
    arrays[name][at] = value
    write_arrays(tmp_path / "p", arrays)
    monkeypatch.setattr("predictors.trees.Trees.booster", None)
    with pytest.raises(
        InputError, match=r"(does not describe a GBDTPredictor: .*|holds NaN; )save the predictor again"
    ):
        load_predictor(tmp_path / "p")


def forest(**changed):
    arrays = {"left": [1, -1, -1], "right": [2, -1, -1], "feature": [1, 0, 0], "value": [0.5, 1, 2]}
    arrays |= {"default_left": [0, 0, 0], "sizes": [3], **changed}
    kinds = {"sizes": np.int64, **{name: kind for name, (_, kind) in NAMES.items()}}
    return Trees.from_arrays({name: np.array(value, kinds[name]) for name, value in arrays.items()}, 0.25)


def test_a_forest_by_hand():
    trees = forest()
    trees.check(2)
    booster = trees.booster(["a", "b"], "reg:squarederror", 1)
    data = xgboost.DMatrix(np.array([[9, 0.4], [9, 0.5]]), feature_names=["a", "b"])
    assert booster.predict(data).tolist() == [1.25, 2.25]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"left": [0, -1, -1]}, "not among the nodes after its parent"),
        ({"left": [3, -1, -1]}, "not among the nodes after its parent"),
        ({"left": [-2, -1, -1]}, "not among the nodes after its parent"),
        ({"left": [2, -1, -1]}, "several parents or none"),
        ({"left": [-1, -1, -1]}, "one child"),
        ({"left": [-1, -1, -1], "right": [-1, -1, -1]}, "several parents or none"),
        ({"feature": [2, 0, 0]}, "a feature other than 0 to 1"),
        ({"feature": [-1, 0, 0]}, "a feature other than 0 to 1"),
        ({"sizes": [2]}, "sizes of its trees"),
        ({"sizes": [0, 3]}, "sizes of its trees"),
        ({"sizes": []}, "sizes is int64"),
        ({"sizes": [2**62, 2**62, 2**62, 2**62 + 3]}, "sizes of its trees"),
        ({"feature": [1, 0]}, "different lengths"),
    ],
)
def test_what_is_no_forest(changed, message):
    with pytest.raises(ValueError, match=message):
        forest(**changed).check(2)


@pytest.mark.parametrize("form", ["ours", "before"])
def test_no_bytes_of_a_saved_predictor_crash_the_interpreter(form, ddim_landscape, tmp_path):
    predictor = GBDTPredictor(ddim_landscape.space, trees=8).fit(ddim_landscape.X, ddim_landscape.y)
    predictor.save(tmp_path / "p")
    if form == "before":
        as_before(predictor, tmp_path / "p")
    file = tmp_path / "p" / "arrays.safetensors"
    whole, rng, refused = file.read_bytes(), np.random.default_rng(0), 0
    for _ in range(60):
        raw = bytearray(whole)
        for at in rng.integers(len(raw), size=rng.integers(1, 40)):
            raw[at] = rng.integers(256)
        file.write_bytes(raw)
        try:
            assert load_predictor(tmp_path / "p").predict(ddim_landscape.X_test[:5]).shape == (5,)
        except InputError:
            refused += 1
    assert refused > 5
