"""What every noise schedule keeps, whatever its numbers."""

import json
import pickle
import tomllib

import numpy as np
import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from omsdpm import InputError
from omsdpm.noise import VP, CosineBetas, DiscreteVP, Flow, LinearBetas, LinearVP, ScaledLinearBetas, make_noise

T = np.linspace(0, 1, 2001)

steps = st.integers(2, 300)
starts, ends = st.floats(1e-5, 1e-2), st.floats(1e-2, 0.5)
lists = st.lists(st.floats(1e-5, 0.9), min_size=2, max_size=50)

KINDS = {
    "linear-vp": st.builds(LinearVP, beta_0=st.floats(1e-3, 1), beta_1=st.floats(1.5, 40), steps=st.integers(1, 4000)),
    "linear": st.builds(LinearBetas, beta_start=starts, beta_end=ends, steps=steps, zero_terminal_snr=st.booleans()),
    "scaled-linear": st.builds(
        ScaledLinearBetas, beta_start=starts, beta_end=ends, steps=steps, zero_terminal_snr=st.booleans()
    ),
    "cosine": st.builds(CosineBetas, steps=steps, max_beta=st.floats(0.5, 0.999), zero_terminal_snr=st.booleans()),
    "betas": st.one_of(lists.map(DiscreteVP), lists.map(lambda betas: DiscreteVP(betas).rescaled())),
    "flow": st.builds(Flow, shift=st.floats(0.1, 10), steps=st.integers(1, 4000)),
}


def of_every_kind(test):
    """Runs a test of ``noise`` on drawn schedules of each kind."""

    @pytest.mark.parametrize("kind", KINDS)
    @settings(max_examples=40, deadline=None)
    @given(data=st.data())
    def run(kind, data):
        noise = data.draw(KINDS[kind])
        assert noise.kind == kind
        test(noise)

    return run


def first_time(noise):
    """The time of the first timestep that networks know."""
    return 0.0 if isinstance(noise, Flow) else 1 / noise.steps


@of_every_kind
def test_it_goes_from_the_image_to_noise(noise):
    assert noise.alpha(0.0) == 1 and noise.sigma(0.0) == 0 and noise.lam(0.0) == np.inf
    lam = noise.lam(T)
    assert (np.diff(lam) < 0).all()
    assert np.isfinite(lam[(T > 0) & (noise.t_start >= T)]).all() and np.isfinite(noise.lam(noise.t_start))
    inner = T[1:-1]
    ratio = np.log(noise.alpha(inner)) - np.log(noise.sigma(inner))
    np.testing.assert_allclose(noise.lam(inner), ratio, rtol=1e-6, atol=1e-9)


@of_every_kind
def test_weights_belong_together(noise):
    alpha, sigma = noise.alpha(T), noise.sigma(T)
    total = alpha**2 + sigma**2 if isinstance(noise, VP) else alpha + sigma
    np.testing.assert_allclose(total, 1, rtol=1e-12)
    if isinstance(noise, VP):
        np.testing.assert_allclose(np.exp(noise.log_alpha(T)), alpha, rtol=1e-15)
        timesteps = np.linspace(0, noise.steps - 1, 101)
        np.testing.assert_allclose(noise.alpha_bar(timesteps), noise.alpha(noise.time(timesteps)) ** 2, rtol=1e-11)


@of_every_kind
def test_lambda_is_inverted(noise):
    np.testing.assert_allclose(noise.inverse_lambda(noise.lam(T)), T, rtol=0, atol=1e-8)
    lam = np.linspace(noise.lam(noise.t_start), 8.0, 300)
    np.testing.assert_allclose(noise.lam(noise.inverse_lambda(lam)), lam, rtol=1e-7, atol=1e-7)


@of_every_kind
def test_timesteps_are_inverted(noise):
    last = float(noise.timestep(1.0))
    timesteps = np.linspace(0, last, 1 + 3 * 97)  # off the whole numbers too
    times = noise.time(timesteps)
    assert times[0] == pytest.approx(first_time(noise), rel=1e-12, abs=0) and times[-1] == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(noise.timestep(times), timesteps, rtol=1e-12, atol=1e-9)
    known = T[first_time(noise) <= T]
    np.testing.assert_allclose(noise.time(noise.timestep(known)), known, rtol=1e-12, atol=1e-12)


@of_every_kind
def test_timesteps_that_networks_do_not_know_are_refused(noise):
    last = float(noise.timestep(1.0))
    for outside in (-1, -0.01, last + 0.01, last + 1, np.nan, np.inf, -np.inf, [0.0, np.nan], [[0.0], [last + 1]]):
        with pytest.raises(InputError, match=rf"timestep \S+ is outside 0\.\.{last:g}, "):
            noise.time(outside)
    # What rounding makes of the last timestep is the last timestep.
    assert noise.time(np.nextafter(last, np.inf)) == pytest.approx(1)


@of_every_kind
def test_shapes_are_kept(noise):
    for shape in ((), (3,), (2, 1, 3), (0,)):
        t = np.full(shape, 0.5)
        for method in (noise.alpha, noise.sigma, noise.lam, noise.inverse_lambda, noise.timestep):
            assert np.shape(method(t)) == shape
        assert np.shape(noise.time(np.zeros(shape))) == shape


@of_every_kind
def test_its_table_makes_it_again(noise):
    table = noise.table()
    assert table["kind"] == noise.kind
    for again in (table, json.loads(json.dumps(table)), tomllib.loads(tomli_w.dumps(table))):
        made = make_noise(again)
        assert type(made) is type(noise) and made == noise and hash(made) == hash(noise)
        assert np.array_equal(made.sigma(T), noise.sigma(T)) and made.table() == table


@of_every_kind
def test_a_copy_is_equal(noise):
    noise.alpha(T)  # fills what is computed once
    copy = pickle.loads(pickle.dumps(noise))
    assert copy == noise and hash(copy) == hash(noise) and copy.table() == noise.table()
    assert np.array_equal(copy.lam(T), noise.lam(T))
    assert "\n" not in repr(noise) and len(repr(noise)) < 200
