"""The plain networks of the speed comparison compute what ours do."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from omsdpm.noise import DiscreteVP, LinearVP
from omsdpm.solvers import DDIMSpace, DPMSolverSpace
from predictors.neural.lstm import LSTMPredictor
from predictors.paper.lstm_paper import LSTMPaperPredictor

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "speed" / "predictors.py"


def load_script():
    """The speed script of the checkout, which no installed package has."""
    spec = importlib.util.spec_from_file_location("speed_predictors", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for their module
    spec.loader.exec_module(module)
    return module


speed = load_script()

SPACES = {"ddim": (DDIMSpace(3, 10), DiscreteVP.linear()), "dpm-solver": (DPMSolverSpace(3, 5), LinearVP())}


@pytest.fixture(params=list(SPACES))
def case(request):
    """Space, noise, schedules of different lengths and some scores for them."""
    space, noise = SPACES[request.param]
    X = space.canonical(space.random(60, np.random.default_rng(0), null=0.6))
    return space, noise, X, 1.0 + space.nfe(X) + np.random.default_rng(1).random(len(X))


def test_plain_networks_predict_what_lstm_predicts(case):
    space, noise, X, y = case
    predictor = LSTMPredictor(space=space, noise=noise, updates=5).fit(X, y)
    expected = predictor.predict(X)
    assert np.ptp(expected) > 0.1
    for steps in (None, speed.all_steps(space)):
        plain = speed.plain_lstm(predictor, noise, steps)
        np.testing.assert_allclose(plain(X), expected, rtol=1e-5)
        np.testing.assert_allclose(np.concatenate(speed.in_chunks(plain, X, 7)), expected, rtol=1e-5)


def test_the_plain_network_predicts_what_lstm_paper_predicts(case):
    space, noise, X, y = case
    predictor = LSTMPaperPredictor(space=space, noise=noise, epochs=5).fit(X, y)
    predictor.coverage_ = None  # the network alone
    expected = predictor.predict(X)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(speed.plain_paper(predictor, noise)(X), expected, rtol=1e-5)


@pytest.mark.parametrize("learners, rate", [(speed.lstm_learners, 0.3), (speed.paper_learners, 5.0)])
def test_all_ways_of_fitting_follow_the_same_gradient(case, learners, rate):
    """Without Adam, which turns the rounding of a gradient near zero into a whole step."""
    batches = [torch.arange(24), torch.arange(12, 36), torch.arange(24)]
    found = []
    for learner in learners(*case).values():
        (group,) = learner.optimizer.param_groups
        found.append(replace(learner, optimizer=torch.optim.SGD(group["params"], lr=rate)).updates(batches))
    ours, *others = found
    assert ours[2] < 0.999 * ours[0]
    for losses in others:
        np.testing.assert_allclose(losses, ours, rtol=1e-5)


def test_ways_that_disagree_stop_the_comparison():
    with pytest.raises(RuntimeError, match=r"other differs by 0\.1 "):
        speed.agree("other", np.array([1.0, 1.1]), np.ones(2))


def test_the_tables_compare_all_ways(tiny, monkeypatch):
    monkeypatch.setattr(speed, "ROUNDS", 1)
    monkeypatch.setattr(speed, "UPDATES", 1)
    monkeypatch.setattr(speed, "ONE_BY_ONE", 5)
    monkeypatch.setattr(speed, "PAIRS", 1)
    assert [table.row_count for table in speed.score(tiny, 30, 20)] == [5, 3]
    assert [table.row_count for table in speed.fit(tiny)] == [3, 3]
