"""What labels cover, and that predictions stay within what can be believed."""

from __future__ import annotations

import numpy as np
import pytest

from omsdpm.solvers import DDIMSpace, DPMSolverSpace
from predictors import load_predictor, make_predictor
from predictors.coverage import NEIGHBORS, SLACK, Coverage, outlines
from predictors.targets import TargetScale


def test_outlines_count_evaluations_and_the_longest_run_without():
    X = np.array([[0, 0, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 2], [1, 0, 0, 2, 0, 3]])
    assert outlines(X, DDIMSpace(3, 6)).tolist() == [[1, 3, 3], [6, 0, 0], [1, 5, 0], [3, 2, 0]]
    groups = np.array([[1, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0]])
    assert outlines(groups, DPMSolverSpace(3, 4)).tolist() == [[3, 2, 0]]


def test_the_floor_is_a_little_under_the_best_of_the_nearest_labels():
    space = DDIMSpace(2, 12)
    rng = np.random.default_rng(0)
    X = np.array([rng.permutation([1] * n + [0] * (12 - n)) for n in range(3, 10) for _ in range(40)])
    z = rng.normal(size=len(X)) - space.nfe(X) / 3
    z = (z - z.mean()) / z.std()
    coverage = Coverage.of(X, z, space)
    floor, away = coverage.floor(X)
    assert not away.any()
    points = np.column_stack([np.log(space.nfe(X)), outlines(X, space)[:, 1:] / 12])
    for row in rng.integers(len(X), size=20):
        distance = np.abs(points - points[row]).sum(axis=1)
        near = distance <= np.sort(distance)[NEIGHBORS - 1]
        assert floor[row] == pytest.approx(z[near].min() - SLACK)


def test_outside_the_labels_the_floor_rises_with_the_distance():
    space = DDIMSpace(1, 20)
    X = np.array(
        [np.random.default_rng(s).permutation([1] * n + [0] * (20 - n)) for s, n in enumerate([8, 9, 10] * 20)]
    )
    z = np.linspace(-1, 1, len(X))
    coverage = Coverage.of(X, z, space)
    floors = []
    for nfe in (6, 4, 2, 1):
        x = np.zeros((1, 20), dtype=np.int64)
        x[0, space.even_slots(nfe)] = 1
        floor, away = coverage.floor(x)
        assert away[0] > 0 and floor[0] >= z.min()
        floors.append(floor[0])
    assert floors == sorted(floors)


@pytest.mark.parametrize("name", ["gp", "lstm", "ridge"])
def test_a_predictor_takes_its_coverage_along(name, tmp_path):
    space = DDIMSpace(2, 10)
    rng = np.random.default_rng(0)
    X = np.unique(space.random(200, rng, null=0.5), axis=0)
    X = X[(space.nfe(X) >= 4) & (space.nfe(X) <= 7)]
    y = 3.0 / space.nfe(X) + 0.1 * rng.random(len(X))
    predictor = make_predictor(name, space=space, **({"updates": 20} if name == "lstm" else {})).fit(X, y)
    predictor.save(tmp_path / "p")
    loaded = load_predictor(tmp_path / "p")
    far = np.zeros((1, 10), dtype=np.int64)
    far[0, -1] = 1
    assert loaded.predict(far)[0] == predictor.predict(far)[0] >= y.min()
    low, high = loaded.predict_interval(far, 0.9)
    near_low, near_high = loaded.predict_interval(X[:1], 0.9)
    assert np.log(high / low)[0] > np.log(near_high / near_low)[0]  # less is known there


def test_a_pessimist_adds_deviations_on_the_standardized_scale():
    space = DDIMSpace(2, 8)
    X = np.unique(space.random(120, np.random.default_rng(0), null=0.5), axis=0)
    y = 3.0 / space.nfe(X) + (X == 1).sum(axis=1) / 8
    predictor = make_predictor("gp", space=space).fit(X[::2], y[::2])
    low, high = predictor.predict_interval(X, 0.6826894921370859)
    assert predictor.predict_bound(X, 1.0) == pytest.approx(high)
    assert predictor.predict_bound(X, -1.0) == pytest.approx(low)
    assert np.array_equal(predictor.predict_bound(X, 0.0), predictor.predict(X))
    trees = make_predictor("gbdt", space=space, trees=20).fit(X[::2], y[::2])
    assert np.array_equal(trees.predict_bound(X, 2.0), trees.predict(X))
    assert isinstance(predictor.target_, TargetScale)
