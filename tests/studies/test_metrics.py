"""Hypervolume, regret and best-so-far curves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omsdpm.errors import InputError
from omsdpm.pareto import nondominated
from studies.metrics import best_so_far, hypervolume, regret

points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12).map(
    lambda rows: np.array(rows, dtype=float).reshape(-1, 2)
)


@given(points)
@settings(deadline=None)
def test_hypervolume_counts_dominated_cells(F):
    corners = np.stack(np.meshgrid(np.arange(5), np.arange(5)), axis=-1).reshape(-1, 2)
    covered = (F[:, None] <= corners).all(axis=2).any(axis=0).sum() if len(F) else 0
    assert hypervolume(F[:, 0], F[:, 1], reference=(5.0, 5.0)) == covered


def test_hypervolume_agrees_with_pymoo():
    HV = pytest.importorskip("pymoo.indicators.hv").HV
    F = np.random.default_rng(0).random((50, 2))
    assert hypervolume(F[:, 0], F[:, 1], reference=(0.9, 0.8)) == pytest.approx(HV(ref_point=np.array([0.9, 0.8]))(F))


@given(points)
@settings(deadline=None)
def test_nondominated_by_definition(rows):
    front = nondominated(rows[:, 0], rows[:, 1])
    beaten = [bool(((rows <= f).all(axis=1) & (rows < f).any(axis=1)).any()) for f in rows]
    expected = {tuple(f) for f, lost in zip(rows, beaten, strict=True) if not lost}
    assert {tuple(f) for f in rows[front]} == expected
    assert len(front) == len(expected)


def test_best_so_far():
    scores, latency = [3.0, 1.0, 2.0, 0.5], [1.0, 9.0, 1.0, 9.0]
    assert best_so_far(scores).tolist() == [3.0, 1.0, 1.0, 0.5]
    assert best_so_far(scores, latency, 5.0).tolist() == [3.0, 3.0, 2.0, 2.0]
    assert best_so_far(scores, latency, 0.5).tolist() == [np.inf] * 4
    with pytest.raises(InputError, match="latencies"):
        best_so_far(scores, budget=5.0)


def test_regret():
    assert regret(best_so_far([3.0, 1.0]), 0.5).tolist() == [2.5, 0.5]


def test_shapes_that_do_not_match():
    with pytest.raises(InputError, match="shape"):
        hypervolume([1.0], [1.0, 2.0], reference=(3.0, 3.0))
