"""Predictors on solvers, grids and noise schedules that came later: told the same as of any other."""

from __future__ import annotations

import numpy as np
import pytest

from omsdpm.noise import DiscreteVP, Flow, LinearVP
from omsdpm.solvers import USUAL, BatchPlan, DDIMSpace, DPMSolverSpace, SolverOptions, UniPCSpace
from predictors import load_predictor, make_predictor

CASES = {
    "unipc": (UniPCSpace(3, 8), DiscreteVP.linear()),
    "own times": (DDIMSpace(3, 6, (999.0, 700.5, 430.0, 200.25, 30.0, 3.0)), DiscreteVP.cosine()),
    "dpm-solver on flow": (DPMSolverSpace(2, 3), Flow()),
    "dpm-solver on zero SNR": (DPMSolverSpace(2, 3), DiscreteVP.cosine().rescaled()),
    "flow": (DDIMSpace(3, 5, Flow(shift=3.0).slots(5)), Flow(shift=3.0)),
    "time_uniform": (DPMSolverSpace(3, 4), LinearVP(), SolverOptions("time_uniform")),
    "to another time": (DPMSolverSpace(3, 4), LinearVP(), SolverOptions(t_end=0.02)),
    "eta": (DDIMSpace(3, 8), DiscreteVP.linear(), SolverOptions(eta=0.5)),
}
FEW = {"lstm": {"updates": 30}, "deepsets": {"updates": 30}, "lstm-paper": {"epochs": 20}, "gbdt": {"trees": 60}}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["lstm", "deepsets", "lstm-paper", "gbdt", "gp", "ridge"])
def test_families_learn_and_come_back(name, case, tmp_path):
    space, noise, *options = CASES[case]
    told = {"options": options[0]} if options else {}
    rng = np.random.default_rng(0)
    X = np.unique(space.random(160, rng, null=0.5), axis=0)
    y = 5.0 / space.nfe(X) + (X == 1).sum(axis=1) + 0.5 * (X[:, 0] == 0)
    rows = rng.permutation(len(X))
    train, test = rows[:70], rows[70:]
    predictor = make_predictor(name, space=space, noise=noise, **told, **FEW.get(name, {})).fit(X[train], y[train])
    assert predictor.score(X[test], y[test]) > 0.4
    predictor.save(tmp_path / "p")
    loaded = load_predictor(tmp_path / "p")
    assert (loaded.space, loaded.noise, loaded.options) == (space, noise, told.get("options"))
    assert loaded.predict(X[test]) == pytest.approx(predictor.predict(X[test]), rel=1e-6)


class PlainSpace(DDIMSpace):
    """A solver that says nothing of batches, as a plug-in may be."""

    solver = "plain"

    def batch_plan(self, X, noise, options=USUAL):
        return BatchPlan(X, self, noise, options)


class PlainGroups(DPMSolverSpace):
    solver = "plain-groups"

    def batch_plan(self, X, noise, options=USUAL):
        return BatchPlan(X, self, noise, options)


@pytest.mark.parametrize("name", ["lstm", "deepsets", "gbdt", "gp", "ridge"])
@pytest.mark.parametrize("space", [PlainSpace(3, 8), PlainGroups(3, 4)], ids=["slots", "groups"])
def test_families_learn_a_solver_that_is_read_off_its_plans(name, space):
    rng = np.random.default_rng(0)
    X = np.unique(space.canonical(space.random(200, rng, null=0.5)), axis=0)
    y = 5.0 / space.nfe(X) + (X == 1).sum(axis=1) + 0.5 * (X[:, 0] == 0)
    rows = rng.permutation(len(X))
    train, test = rows[:90], rows[90:]
    noise = space.solver_noise(DiscreteVP.linear())
    predictor = make_predictor(name, space=space, noise=noise, **FEW.get(name, {})).fit(X[train], y[train])
    assert predictor.score(X[test], y[test]) > 0.4


@pytest.mark.parametrize("name", ["lstm", "deepsets", "lstm-paper", "gbdt", "gp", "ridge"])
def test_families_see_the_spacing(name):
    """One schedule stands elsewhere under another spacing, so a predictor cannot say the same of it."""
    space, noise = DPMSolverSpace(2, 4), LinearVP()
    X = np.unique(space.canonical(space.random(80, np.random.default_rng(0), null=0.4)), axis=0)
    y = 5.0 / space.nfe(X) + (X == 1).sum(axis=1)
    predictor = make_predictor(name, space=space, noise=noise, **FEW.get(name, {})).fit(X[::2], y[::2])
    usual = predictor.predict(X[1::2])
    predictor.options = SolverOptions("time_uniform")
    assert not np.allclose(predictor.predict(X[1::2]), usual)
