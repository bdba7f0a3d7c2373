import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from predictors.calibration import RisingCurve


@given(st.integers(0, 1000), st.integers(2, 300))
def test_the_curve_changes_no_rank(seed, n):
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=n)
    curve = RisingCurve.fit(raw, rng.normal(size=n))  # even where scores and targets have nothing in common
    probe = np.sort(rng.normal(scale=3, size=50))
    assert (np.diff(curve(probe)) > 0).all()


def test_the_curve_follows_a_bent_relation():
    raw = np.linspace(-2, 2, 400)
    z = np.exp(raw)
    curve = RisingCurve.fit(raw, z)
    inner = np.abs(raw) < 1.8
    assert np.abs(curve(raw) - z)[inner].max() < 0.1


def test_scores_that_do_not_differ():
    curve = RisingCurve.fit(np.full(5, 0.3), np.zeros(5))
    assert curve(np.array([0.3]))[0] == 0


def test_identity():
    x = np.array([-3.0, 0.0, 0.4, 9.0])
    np.testing.assert_allclose(RisingCurve.identity()(x), x)
