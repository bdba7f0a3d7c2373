"""The optimizer of ``docs/optimizer.md`` and the strategy of ``docs/strategy.md``, installed as the pages say."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.baselines import all_baselines
from benchmarks.strategies.registry import make_strategy, strategy_names
from omsdpm import make_space
from omsdpm.solvers import solver_names
from studies import make_optimizer, optimizer_names
from studies.cli import main
from studies.testing import optimizer_checks

DOCS = Path(__file__).parents[2] / "docs"
LINES = 30
"""Most that a complete plug-in may take."""

LATENCY = [1.0, 2.0, 4.0]


def block(page: str, language: str) -> str:
    """The page's only code block in ``language``."""
    text = (DOCS / page).read_text(encoding="utf-8")
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return code


@pytest.fixture
def annealing(site):
    """The optimizer's page, installed."""
    site.install(block("optimizer.md", "toml"), annealing_example=block("optimizer.md", "python"))


@pytest.fixture
def ramp(site):
    """The strategy's page, installed."""
    site.install(block("strategy.md", "toml"), ramp_example=block("strategy.md", "python"))


@pytest.mark.parametrize("page", ["optimizer.md", "strategy.md"])
def test_they_are_short(page):
    assert len(block(page, "python").splitlines()) <= LINES


def test_the_optimizer_conforms(annealing):
    assert "annealing" in optimizer_names()
    for _, check in optimizer_checks(partial(make_optimizer, "annealing")):
        check()


def test_list_shows_both(annealing, ramp):
    listed = CliRunner().invoke(main, ["list"]).stdout
    assert re.search(
        r"^  annealing +Simulated annealing: chains that go to worse neighbors ever more rarely\.$", listed, re.M
    )
    assert re.search(r"^  ramp +All members in turn, the fastest at the noise end, ", listed, re.M)


def test_a_run_takes_the_optimizer(annealing, tmp_path):
    args = ["--benchmark", "digits-tab", "--predictor", "gbdt[trees=20,threads=1]", "--train-size", "100"]
    args += ["--optimizer", "annealing[chains=8,heat=0.1]", "--evaluations", "120", "--budget", "100"]
    args += ["--validate-images", "8", "--seeds", "1", "--leaderboard", str(tmp_path / "board.csv")]
    outcome = CliRunner().invoke(main, ["run", *args, "--output", str(tmp_path / "out")])
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["search"]["optimizer"] == "annealing[chains=8,heat=0.1]"
    assert result["winners"][0]["latency_frozen_ms"] <= 100


def test_chains_get_colder(annealing):
    """Without heat it is a descent: no chain ever goes to a worse schedule, and the best is found sooner or later."""
    from studies.testing import SPACES, additive_problem

    cold = make_optimizer("annealing[chains=4,heat=0]").run(additive_problem(SPACES[0]), evaluations=300, seed=0)
    warm = make_optimizer("annealing[chains=4,heat=5]").run(additive_problem(SPACES[0]), evaluations=300, seed=0)
    assert np.median(cold.history.scores[100:200]) < np.median(warm.history.scores[100:200])


@pytest.mark.parametrize("solver", solver_names())
def test_the_strategy_proposes_schedules_of_every_solver(ramp, solver):
    space = make_space(solver, 3, 12)
    made = [b for b in all_baselines(space, LATENCY, [5.0, 14.0], ["single", "ramp"]) if b.kind == "ramp"]
    X = space.check([b.x for b in made])
    assert (space.latency(X, LATENCY) <= [5.0, 14.0][: len(made)]).all() or len(made) == 1
    for x in X:
        members = x[x > 0][::-1]  # from the noise end
        assert (np.diff(members) >= 0).all()
    assert made[-1].name == "all members in turn, 6 steps"
    assert (X[-1][X[-1] > 0]).tolist() == [3, 3, 2, 2, 1, 1]


def test_the_strategy_is_found_by_name(ramp):
    assert {"ramp", "single", "stitch"} <= set(strategy_names())
    assert make_strategy("ramp").name == "ramp"


@pytest.mark.parametrize("page", ["optimizer.md", "strategy.md", "predictor.md"])
def test_what_pages_name_is_there(page):
    """``a.b.c`` of our packages in code spans and examples can be imported."""
    import importlib

    text = (DOCS / page).read_text(encoding="utf-8")
    for module, names in re.findall(r"from ((?:omsdpm|predictors|benchmarks|studies)[\w.]*) import ([\w, ]+)", text):
        for name in names.split(","):
            assert hasattr(importlib.import_module(module), name.strip()), (page, module, name)
    for module in re.findall(r"`((?:predictors|benchmarks|studies)(?:\.\w+)+)`", text):
        if not module.endswith(".csv"):
            importlib.import_module(module)
