"""Finding predictors by name, without importing them."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from omsdpm.errors import InputError
from omsdpm.noise import LinearVP
from omsdpm.solvers import DDIMSpace, DPMSolverSpace
from predictors import Predictor, load_predictor, make_predictor, predictor_class, predictor_names
from predictors.folder import read_arrays, write_arrays, write_header


def test_ours_are_registered():
    assert {"lstm", "lstm-paper", "deepsets", "gbdt", "gp", "ridge", "ensemble"} <= set(predictor_names())
    assert all(issubclass(predictor_class(name), Predictor) for name in predictor_names())


def test_unknown_names_list_what_exists_nearest_first():
    with pytest.raises(InputError, match=r"unknown predictor 'gbtd'; choose one of: gbdt, "):
        make_predictor("gbtd", space=DDIMSpace(2, 4))


def test_unknown_parameters_list_what_exists_nearest_first():
    with pytest.raises(InputError, match=r"'tree'; choose one of: trees, "):
        make_predictor("gbdt", space=DDIMSpace(2, 4), tree=3)


def test_a_saved_predictor_of_no_installed_family_is_not_imported(tmp_path):
    write_header(tmp_path, {"predictor": "os:system"})
    with pytest.raises(InputError, match="'os:system', which is not installed"):
        load_predictor(tmp_path)


def saved_ridge(folder):
    """A fitted predictor and its folder's header."""
    space = DPMSolverSpace(2, 3)
    X = space.random(20, np.random.default_rng(0), null=0.5)
    predictor = make_predictor("ridge", space=space, noise=LinearVP(0.1, 20.0)).fit(X, 1.0 + space.nfe(X))
    predictor.save(folder)
    return X, predictor, json.loads((folder / "predictor.json").read_text())


def test_predictors_are_saved_under_their_registered_name(tmp_path):
    _, _, header = saved_ridge(tmp_path / "p")
    assert (header["format"], header["predictor"]) == (3, "ridge")


def test_a_folder_of_the_first_format_is_read(tmp_path):
    X, predictor, header = saved_ridge(tmp_path / "p")
    del header["predictor"]
    header |= {
        "format": 1,
        "class": "predictors.ridge:RidgePredictor",
        "noise": {"kind": "linear", "beta_0": 0.1, "beta_1": 20.0, "steps": 1000},
    }
    (tmp_path / "p" / "predictor.json").write_text(json.dumps(header))
    loaded = load_predictor(tmp_path / "p")
    assert loaded.noise == LinearVP(0.1, 20.0)
    assert np.array_equal(loaded.predict(X), predictor.predict(X))


def test_a_folder_of_a_newer_format_is_refused(tmp_path):
    _, _, header = saved_ridge(tmp_path / "p")
    (tmp_path / "p" / "predictor.json").write_text(json.dumps(header | {"format": 4}))
    with pytest.raises(InputError, match=r"has format 4, this version reads up to 3"):
        load_predictor(tmp_path / "p")


def test_slots_at_times_of_their_own_travel_with_a_predictor(tmp_path):
    space = DDIMSpace(2, 3, (999.0, 640.25, 12.0))
    X = space.enumerate()
    predictor = make_predictor("ridge", space=space).fit(X, 1.0 + space.nfe(X))
    predictor.save(tmp_path / "p")
    assert load_predictor(tmp_path / "p").space == space


def test_importing_and_listing_is_light():
    code = (
        "import sys, predictors; predictors.predictor_names();"
        "print([m for m in ('torch', 'sklearn', 'xgboost', 'scipy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_arrays_of_another_shape_or_type_than_the_header_s_are_refused(tmp_path):
    saved_ridge(tmp_path / "p")
    arrays = read_arrays(tmp_path / "p")
    for name, array in (
        ("coef", arrays["coef"][:-1]),
        ("coef", arrays["coef"].astype(np.float32)),
        ("more", np.ones(2)),
    ):
        write_arrays(tmp_path / "p", {**arrays, name: array})
        with pytest.raises(InputError, match=rf"arrays.safetensors: {name} is .*, predictor.json says"):
            load_predictor(tmp_path / "p")


def test_a_family_knows_the_shapes_of_its_arrays_where_no_header_says_them(tmp_path):
    X, predictor, header = saved_ridge(tmp_path / "p")
    del header["arrays"]
    (tmp_path / "p" / "predictor.json").write_text(json.dumps(header | {"format": 2}))
    assert np.array_equal(load_predictor(tmp_path / "p").predict(X), predictor.predict(X))
    arrays = read_arrays(tmp_path / "p")
    write_arrays(tmp_path / "p", {**arrays, "covariance": arrays["covariance"][:, :1]})
    with pytest.raises(
        InputError, match=r"does not describe a RidgePredictor: covariance is float64 \(\d+, 1\), expected"
    ):
        load_predictor(tmp_path / "p")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameters": {"squares": "yes"}}, "squares = 'yes', expected true or false"),
        ({"parameters": {"square": True}}, "unknown key 'square'; choose one of: squares"),
        ({"target": {"center": 0.0, "spread": 0.0, "log": True}}, "target.spread = 0.0, expected greater than 0"),
        ({"space": {"solver": "dpm-solver", "num_models": 2, "length": 10**9}}, "space.length = 1000000000, expected"),
        ({"learned": {"intercept": 1.0}}, "learned lacks the key 'noise variance'"),
        ({"arrays": None}, "format 3 without arrays"),
        ({"more": 1}, "unknown key 'more'"),
    ],
)
def test_headers_with_a_mistake_say_which(tmp_path, change, message):
    _, _, header = saved_ridge(tmp_path / "p")
    (tmp_path / "p" / "predictor.json").write_text(json.dumps(header | change))
    with pytest.raises(InputError, match=re.escape(message)) as error:
        load_predictor(tmp_path / "p")
    assert "predictor.json" in str(error.value)
