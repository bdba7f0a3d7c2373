"""The conformance kit on every registered predictor; a plug-in that is installed is tested too."""

from __future__ import annotations

import inspect
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from omsdpm.noise import CosineBetas
from omsdpm.solvers import DDIMSpace
from predictors import Predictor, make_predictor, predictor_class, predictor_names
from predictors import testing as kit

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

FLOORS = {"ridge": 0.5}
"""A linear family is in the table as the floor."""


def quick(name):
    known = predictor_class(name)._get_param_names()
    return partial(make_predictor, name, **{key: value for key, value in QUICK.items() if key in known})


every_check = [
    pytest.param(check, id=f"{name}: {what}")
    for name in predictor_names()
    for what, check in kit.predictor_checks(quick(name), floor=FLOORS.get(name, kit.FLOOR))
]


@pytest.mark.parametrize("check", every_check)
def test_conformance(check):
    check()


CONSTANT = "ignore:An input array is constant"


# -- the kit itself ---------------------------------------------------------------------


def test_the_kit_needs_no_test_framework():
    code = "import predictors.testing, sys; print('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == ["False"]


def test_every_check_of_the_module_is_run():
    checks = {thing for name, thing in vars(kit).items() if name.startswith("check_") and inspect.isfunction(thing)}
    assert checks - {kit.check_predictor} == set(kit.PREDICTOR_CHECKS)
    names = [name for name, _ in kit.predictor_checks(quick("ridge"))]
    assert len(set(names)) == len(names) == len(kit.PREDICTOR_CHECKS) + 2 * len(kit.CHECKS_IN_EVERY_SPACE)


def test_landscapes_of_grouped_slots_have_schedules_that_sample_the_same():
    space = kit.SPACES[1]
    X = kit.make_landscape(space).X_test[:30]
    same = (space.canonical(np.roll(X, space.group_size, axis=1)) == X).all(axis=1)
    assert same.any() and not same.all()


def test_a_landscape_is_of_the_noise_that_is_given():
    space = DDIMSpace(3, 10)
    usual, cosine = kit.make_landscape(space), kit.make_landscape(space, CosineBetas(steps=1000))
    assert np.array_equal(usual.X, cosine.X)
    assert not np.allclose(usual.y, cosine.y, rtol=0.01)


class Mean(Predictor):
    """Every schedule is predicted the mean, and everything else is as it should be."""

    def _learn(self, X, z, validation):
        self.mean_ = float(z.mean())

    def _score(self, X):
        return np.full(len(X), self.mean_)

    def _state(self):
        return {"mean": self.mean_}, {}

    def _restore(self, values, arrays):
        self.mean_ = values["mean"]


class Broken(Mean):
    """What a subclass breaks is what the check of that name sees."""


class ByRow(Broken):
    def predict(self, X):
        return super().predict(X) + 1e-3 * np.arange(len(np.atleast_2d(X)))


class Float32(Broken):
    def predict(self, X):
        return super().predict(X).astype(np.float32)


class GlobalDraw(Broken):
    def _learn(self, X, z, validation):
        self.mean_ = float(z.mean()) + 1e-3 * np.random.random()


class Sorts(Broken):
    def fit(self, X, y, *validation, **more):
        super().fit(X, y, *validation, **more)
        if isinstance(X, np.ndarray) and X.flags.writeable:
            X.sort(axis=0)
        return self


class Accepts(Broken):
    def fit(self, X, y, *validation, **more):
        return super().fit(X, np.nan_to_num(np.asarray(y, dtype=float), posinf=1.0), *validation, **more)


class SetsUp(Broken):
    def __init__(self, space=None, noise=None, latency=None, random_state=0):
        super().__init__(space, noise, latency, 0)


@pytest.mark.filterwarnings(CONSTANT)
@pytest.mark.parametrize(
    ("family", "check"),
    [
        (Mean, kit.check_learns_a_landscape),
        (ByRow, kit.check_equal_schedules_get_equal_predictions),
        (Float32, kit.check_predictions_are_finite_floats_one_a_schedule),
        (GlobalDraw, kit.check_global_random_states_are_left_alone),
        (GlobalDraw, kit.check_the_same_random_state_gives_the_same_predictions),
        (Sorts, kit.check_input_is_not_changed),
        (Accepts, kit.check_scores_that_are_not_finite_are_refused),
        (SetsUp, kit.check_clone_is_unfitted_with_equal_parameters),
    ],
)
def test_a_predictor_that_breaks_the_contract_fails(family, check, ddim_landscape):
    with pytest.raises(AssertionError):
        check(family, ddim_landscape)
    if family is not Mean:
        check(Mean, ddim_landscape)  # which keeps to it there


@pytest.mark.filterwarnings(CONSTANT)
def test_all_checks_at_once_say_which_one_failed():
    with pytest.raises(AssertionError, match=r"^learns a landscape, ddim: AssertionError: Spearman's rho "):
        kit.check_predictor(Mean, spaces=kit.SPACES[:1])
