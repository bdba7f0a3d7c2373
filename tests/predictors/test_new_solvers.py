"""Predictors on solvers, grids and noise schedules that came later: told the same as of any other."""

from __future__ import annotations

import numpy as np
import pytest

from omsdpm.noise import DiscreteVP, Flow
from omsdpm.solvers import DDIMSpace, DPMSolverSpace, UniPCSpace
from predictors import load_predictor, make_predictor

CASES = {
    "unipc": (UniPCSpace(3, 8), DiscreteVP.linear()),
    "own times": (DDIMSpace(3, 6, (999.0, 700.5, 430.0, 200.25, 30.0, 3.0)), DiscreteVP.cosine()),
    "dpm-solver on flow": (DPMSolverSpace(2, 3), Flow()),
    "dpm-solver on zero SNR": (DPMSolverSpace(2, 3), DiscreteVP.cosine().rescaled()),
    "flow": (DDIMSpace(3, 5, Flow(shift=3.0).slots(5)), Flow(shift=3.0)),
}
FEW = {"lstm": {"updates": 30}, "deepsets": {"updates": 30}, "lstm-paper": {"epochs": 20}, "gbdt": {"trees": 60}}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["lstm", "deepsets", "lstm-paper", "gbdt", "gp", "ridge"])
def test_families_learn_and_come_back(name, case, tmp_path):
    space, noise = CASES[case]
    rng = np.random.default_rng(0)
    X = np.unique(space.random(160, rng, null=0.5), axis=0)
    y = 5.0 / space.nfe(X) + (X == 1).sum(axis=1) + 0.5 * (X[:, 0] == 0)
    rows = rng.permutation(len(X))
    train, test = rows[:70], rows[70:]
    predictor = make_predictor(name, space=space, noise=noise, **FEW.get(name, {})).fit(X[train], y[train])
    assert predictor.score(X[test], y[test]) > 0.4
    predictor.save(tmp_path / "p")
    loaded = load_predictor(tmp_path / "p")
    assert (loaded.space, loaded.noise) == (space, noise)
    assert loaded.predict(X[test]) == pytest.approx(predictor.predict(X[test]), rel=1e-6)
