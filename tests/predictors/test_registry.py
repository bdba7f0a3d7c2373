"""Finding predictors by name, without importing them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from omsdpm.errors import InputError
from omsdpm.solvers import DDIMSpace
from predictors import Predictor, load_predictor, make_predictor, predictor_class, predictor_names
from predictors.folder import write_header


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
    write_header(tmp_path, {"class": "os:system"})
    with pytest.raises(InputError, match="os:system, which is not installed"):
        load_predictor(tmp_path)


def test_importing_and_listing_is_light():
    code = (
        "import sys, predictors; predictors.predictor_names();"
        "print([m for m in ('torch', 'sklearn', 'xgboost', 'scipy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
