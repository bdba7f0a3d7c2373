"""The family in ``docs/predictor.md``, installed as the page says, is a predictor like ours."""

from __future__ import annotations

import csv
import inspect
import re
import sys
import tomllib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats
from sklearn.base import clone

from predictors import load_predictor, make_predictor, predictor_class, predictor_names
from predictors.testing import predictor_checks
from studies.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "predictor.md"
MODULE = "knn_example"
LINES = 30
"""Most that a complete family may take."""


def block(language: str) -> str:
    """The page's only code block in ``language``."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return code


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    """Puts the module and the metadata that an installer would make of the page in a folder on the path."""
    project = tomllib.loads(block("toml"))["project"]
    site = tmp_path_factory.mktemp("site")
    (site / f"{MODULE}.py").write_text(block("python"), encoding="utf-8")
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    with open(info / "entry_points.txt", "w", encoding="utf-8") as file:
        for group, entries in project["entry-points"].items():
            file.writelines([f"[{group}]\n", *(f"{name} = {value}\n" for name, value in entries.items())])
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, MODULE, raising=False)  # of a copy that is really installed
        patch.syspath_prepend(site)
        yield site
        sys.modules.pop(MODULE, None)


def test_it_is_short():
    assert len(block("python").splitlines()) <= LINES


def test_it_is_found_by_name(installed):
    assert "knn" in predictor_names()
    found = predictor_class("knn")
    assert Path(inspect.getfile(found)).parent == installed
    summary = inspect.getdoc(found)
    assert summary and re.search(rf"^  knn +{re.escape(summary)}$", CliRunner().invoke(main, ["list"]).stdout, re.M)


def test_it_ranks_held_out_schedules(landscape):
    predictor = make_predictor("knn", space=landscape.space).fit(landscape.X, landscape.y)
    predicted = predictor.predict(landscape.X_test)
    assert np.isfinite(predicted).all()
    # What the conformance suite wants of every family, as the page says.
    assert stats.spearmanr(predicted, landscape.y_test).statistic > 0.6
    assert predictor.score(landscape.X_test, landscape.y_test) > 0.4


def test_it_conforms():
    for _, check in predictor_checks(partial(make_predictor, "knn")):
        check()


def test_it_is_saved_and_cloned(ddim_landscape, tmp_path):
    predictor = make_predictor("knn", space=ddim_landscape.space, neighbors=5)
    predictor.fit(ddim_landscape.X[:40], ddim_landscape.y[:40])
    expected = predictor.predict(ddim_landscape.X_test)
    predictor.save(tmp_path / "knn")
    loaded = load_predictor(tmp_path / "knn")
    assert type(loaded) is type(predictor)
    assert loaded.get_params() == predictor.get_params()
    assert np.array_equal(loaded.predict(ddim_landscape.X_test), expected)

    copy = clone(predictor)
    assert copy.neighbors == 5 and not hasattr(copy, "model_")
    copy.fit(ddim_landscape.X[:40], ddim_landscape.y[:40])
    assert np.array_equal(copy.predict(ddim_landscape.X_test), expected)


def test_it_is_compared(tmp_path):
    args = ["--benchmark", "digits-tab", "--predictor", "knn", "--train-sizes", "40", "--seeds", "1"]
    outcome = CliRunner().invoke(main, ["predictor", "compare", *args, "--output", str(tmp_path)])
    assert outcome.exit_code == 0, outcome.output
    with open(tmp_path / "predictors.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["predictor"], row["train_size"]) == ("knn", "40")
    assert float(row["kendall_tau"]) > 0.3
