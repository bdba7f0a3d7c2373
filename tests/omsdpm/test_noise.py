import numpy as np
import pytest

from omsdpm import InputError
from omsdpm.noise import DiscreteVP, Flow, LinearVP, lambda_of, sigma_of

SCHEDULES = [LinearVP(0.1, 20.0), DiscreteVP.linear(), DiscreteVP(np.full(50, 0.05))]


@pytest.mark.parametrize("noise", SCHEDULES, ids=lambda n: type(n).__name__)
def test_inverse_lambda_inverts(noise):
    t = np.linspace(1e-4, 1.0, 201)
    lam = lambda_of(noise.log_alpha(t))
    assert (np.diff(lam) < 0).all()
    np.testing.assert_allclose(noise.inverse_lambda(lam), t, rtol=1e-7)


@pytest.mark.parametrize("noise", SCHEDULES, ids=lambda n: type(n).__name__)
def test_variance_is_preserved(noise):
    log_alpha = noise.log_alpha(np.linspace(1e-4, 1, 50))
    np.testing.assert_allclose(np.exp(2 * log_alpha) + sigma_of(log_alpha) ** 2, 1, rtol=1e-12)
    np.testing.assert_allclose(lambda_of(log_alpha), log_alpha - np.log(sigma_of(log_alpha)), rtol=1e-9)


# What the first release of this module said; plans, predictors and data sets were made from these numbers.
STORED = {
    DiscreteVP.linear(): {
        "alpha_bar": (
            [0, 1, 250.5, 500, 999],
            [0.9999, 0.9997800920720721, 0.5200917284410896, 0.07779665836502396, 4.035829765375687e-05],
        ),
        "log_alpha": (
            [0.0001, 0.001, 0.25, 0.5, 1.0],
            [
                -5.000250016667917e-06,
                -5.000250016667917e-05,
                -0.32305034039232305,
                -1.27177294851141,
                -5.0588567712065515,
            ],
        ),
        "inverse_lambda": (
            [4.0, 1.0, 0.0, -2.5, -5.0],
            [0.0028257030876674364, 0.10841546055929442, 0.2590927982058689, 0.7028255783421523, 0.9941613453098481],
        ),
        "timestep": ([0.0001, 0.001, 0.25, 0.5, 1.0], [0.0, 0.0, 249.0, 499.0, 999.0]),
    },
    LinearVP(): {
        "alpha_bar": (
            [0, 1, 250.5, 500, 999],
            [0.9998900560442797, 0.9997602287497219, 0.5196967100327986, 0.07827242180248163, 4.318574906034135e-05],
        ),
        "log_alpha": (
            [0.0001, 0.001, 0.25, 0.5, 1.0],
            [-5.04975e-06, -5.4975e-05, -0.3234375, -1.2687499999999998, -5.0249999999999995],
        ),
        "inverse_lambda": (
            [4.0, 1.0, 0.0, -2.5, -5.0],
            [0.0026534856254781043, 0.108031656176393, 0.25896026243279663, 0.7043497569956666, 0.9974991584763184],
        ),
        "timestep": ([0.0001, 0.001, 0.25, 0.5, 1.0], [0.0, 0.0, 249.0, 499.0, 999.0]),
    },
}


@pytest.mark.parametrize("noise", STORED, ids=lambda n: type(n).__name__)
@pytest.mark.parametrize("method", ["alpha_bar", "log_alpha", "inverse_lambda", "timestep"])
def test_numbers_stay(noise, method):
    at, stored = STORED[noise][method]
    # exp and log of different processors differ in the last bits, hence the tolerance.
    np.testing.assert_allclose(getattr(noise, method)(at), stored, rtol=2e-15, atol=0)


def test_linear_betas_stay_bit_for_bit():
    """The same operations in the same order as ever, so the same bits on whatever processor."""
    noise, betas = DiscreteVP.linear(), np.linspace(1e-4, 0.02, 1000)
    log_alphas = np.concatenate([[0.0], 0.5 * np.log1p(-betas).cumsum()])
    times, t, lam = np.linspace(0, 1, 1001), np.linspace(0, 1, 7777), np.linspace(-5, 8, 7777)
    log_alpha = np.interp(t, times, log_alphas)
    assert np.array_equal(noise.log_alpha(t), log_alpha)
    assert np.array_equal(noise.sigma(t), np.sqrt(-np.expm1(2.0 * log_alpha)))
    assert np.array_equal(noise.timestep(t), np.maximum(t * 1000 - 1.0, 0.0))
    timesteps = np.linspace(0, 999, 7777)
    assert np.array_equal(noise.alpha_bar(timesteps), np.exp(2.0 * noise.log_alpha((timesteps + 1.0) / 1000)))
    inverse = np.interp(-0.5 * np.logaddexp(-2.0 * lam, 0.0), log_alphas[::-1], times[::-1])
    assert np.array_equal(noise.inverse_lambda(lam), inverse)


def test_the_continuous_schedule_stays_bit_for_bit():
    noise, t, lam = LinearVP(0.1, 20.0), np.linspace(0, 1, 7777), np.linspace(-5, 8, 7777)
    assert np.array_equal(noise.log_alpha(t), -0.25 * t**2 * (20.0 - 0.1) - 0.5 * t * 0.1)
    assert np.array_equal(noise.timestep(t), 1000 * np.maximum(t - 1.0 / 1000, 0.0))
    timesteps = np.linspace(0, 999, 7777)
    assert np.array_equal(noise.alpha_bar(timesteps), np.exp(2.0 * noise.log_alpha((timesteps + 1.0) / 1000)))
    minus_2_log_alpha = np.logaddexp(-2.0 * lam, 0.0)
    root = np.sqrt(0.1**2 + 2.0 * (20.0 - 0.1) * minus_2_log_alpha)
    assert np.array_equal(noise.inverse_lambda(lam), 2.0 * minus_2_log_alpha / (root + 0.1))


@pytest.mark.parametrize("zero_terminal_snr", [False, True])
def test_betas_that_are_not_linear_have_no_linear_limit(zero_terminal_snr):
    """Lambda solvers once ran these on a LinearVP through their first and last beta: 3e-55 here, -0.909 there."""
    cosine, latent = DiscreteVP.cosine(), DiscreteVP.scaled_linear(0.00085, 0.012)
    if zero_terminal_snr:
        cosine, latent = cosine.rescaled(), latent.rescaled()
    assert cosine.continuous() is cosine and latent.continuous() is latent
    assert cosine.alpha_bar(500) == pytest.approx(0.49, abs=0.005)
    assert cosine.alpha(cosine.time(500)) == pytest.approx(0.70, abs=0.005)
    # The signal that is left at the end, 0.068, is taken from everywhere.
    half = np.log((np.exp(-0.641) - 0.0683) / (1 - 0.0683)) if zero_terminal_snr else -0.641
    assert latent.log_alpha(0.5) == pytest.approx(half, abs=0.001)


@pytest.mark.parametrize(
    ("betas", "limit"),
    [
        (DiscreteVP.linear(), LinearVP(0.1, 20.0)),
        (DiscreteVP(np.linspace(2e-4, 0.01, 1000)), LinearVP(0.2, 10.0)),
        (DiscreteVP.linear(1e-3, 0.2, 100), LinearVP(0.1, 20.0, 100)),
        # In 50 steps alpha_bar is up to 0.017 from the limit.
        (DiscreteVP.linear(2e-3, 0.4, 50), None),
        (DiscreteVP.linear().rescaled(), None),
        (DiscreteVP([0.1, 1.0]), None),
        (DiscreteVP.linear(0.02, 1e-4), None),
        (DiscreteVP(np.full(50, 0.05)), None),
        (DiscreteVP([0.1]), None),
    ],
)
def test_linear_betas_discretize_a_continuous_schedule(betas, limit):
    continuous = betas.continuous()
    if limit is None:
        assert continuous is betas
        return
    assert isinstance(continuous, LinearVP) and continuous.steps == limit.steps
    np.testing.assert_allclose([continuous.beta_0, continuous.beta_1], [limit.beta_0, limit.beta_1], rtol=1e-12)
    timesteps = np.arange(betas.steps)
    np.testing.assert_allclose(continuous.alpha_bar(timesteps), betas.alpha_bar(timesteps), atol=0.01)


def test_zero_terminal_snr_is_exact():
    noise = DiscreteVP.linear(steps=100).rescaled()
    assert noise.betas[-1] == 1 and (np.asarray(noise.betas[:-1]) < 1).all()
    assert (noise.alpha_bar(99), noise.alpha(1.0), noise.sigma(1.0), noise.lam(1.0)) == (0, 0, 1, -np.inf)
    assert noise.inverse_lambda(-np.inf) == 1
    assert noise.alpha_bar(0) == pytest.approx(DiscreteVP.linear(steps=100).alpha_bar(0), rel=1e-12)
    # Where lambda solvers start: the last timestep that has signal.
    assert noise.t_start == 0.99 and noise.timestep(noise.t_start) == pytest.approx(98) and noise.lam(0.99) > -20
    assert DiscreteVP.linear(steps=100).t_start == 1
    # Between the last two, where no logarithm can be interpolated, alpha is.
    assert noise.alpha(0.995) == pytest.approx(noise.alpha(0.99) / 2, rel=1e-9)
    assert noise.inverse_lambda(noise.lam(0.9975)) == pytest.approx(0.9975, rel=1e-12)


def test_rescaling_twice_changes_nothing():
    for noise in (DiscreteVP.linear(), DiscreteVP([0.1, 0.2, 0.3])):
        assert noise.rescaled() != noise
        assert noise.rescaled().rescaled() == noise.rescaled()


def test_discrete_alpha_bar_is_the_product_of_one_minus_beta():
    betas = np.linspace(1e-4, 0.02, 1000)
    np.testing.assert_allclose(DiscreteVP(betas).alpha_bar(np.arange(1000)), np.cumprod(1 - betas), rtol=1e-12)


def test_linear_schedule_is_the_limit_of_the_discrete_one():
    steps = np.arange(0, 1000, 50)
    ours, discrete = LinearVP(0.1, 20.0), DiscreteVP.linear()
    np.testing.assert_allclose(ours.alpha_bar(steps), discrete.alpha_bar(steps), atol=2e-3)


@pytest.mark.parametrize("noise", SCHEDULES[:2], ids=lambda n: type(n).__name__)
def test_timestep_of_a_time_is_the_model_input(noise):
    np.testing.assert_allclose(noise.timestep([1.0, 0.5, 1e-3, 1e-4]), [999.0, 499.0, 0.0, 0.0], atol=1e-9)


def test_schedules_compare_by_value():
    assert DiscreteVP.linear() == DiscreteVP(np.linspace(1e-4, 0.02, 1000))
    assert hash(DiscreteVP.linear()) == hash(DiscreteVP.linear())
    assert DiscreteVP.linear() != DiscreteVP.linear(end=0.03)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearVP(20.0, 0.1), "expected 0 < beta_0 < beta_1"),
        (lambda: DiscreteVP([0.1, 1.5]), "between 0 and 1"),
        (lambda: DiscreteVP([]), "between 0 and 1"),
        (lambda: DiscreteVP([[0.1, 0.2]]), r"shape \(1, 2\): expected a list of numbers between 0 and 1"),
        (lambda: DiscreteVP(["a"]), "betas: expected a list of numbers between 0 and 1"),
        (lambda: DiscreteVP([0.1, -0.5, 2.0]), r"betas\[1\] = -0\.5, of 3: expected numbers between 0 and 1"),
        (lambda: DiscreteVP([0.1, 1.0, 0.2]), r"betas\[1\] = 1, of 3: .* only the last of several may be 1"),
        (lambda: DiscreteVP([1.0]), r"betas\[0\] = 1, of 1"),
        (lambda: DiscreteVP([0.1, np.nan]), r"betas\[1\] = nan, of 2"),
        (lambda: DiscreteVP([0.0, 0.1]), r"betas\[0\] = 0, of 2"),
        (lambda: DiscreteVP.linear(start=0.0), "beta_start = 0.0: expected a number between 0 and 1"),
        (lambda: DiscreteVP.linear(end=1.0), "beta_end = 1.0: expected a number between 0 and 1"),
        (lambda: DiscreteVP.linear(end=np.nan), "beta_end = nan: expected a number between 0 and 1"),
        (lambda: DiscreteVP.linear(steps=0), "steps = 0: expected a whole number from 1 to 1000000"),
        (lambda: DiscreteVP.linear(steps=10.0), "steps = 10.0: expected a whole number"),
        (lambda: DiscreteVP.linear(steps=True), "steps = True: expected a whole number"),
        (lambda: DiscreteVP.scaled_linear(start=-1e-4), "beta_start = -0.0001: expected a number between 0 and 1"),
        (lambda: DiscreteVP.scaled_linear(steps=10**9), "steps = 1000000000: expected a whole number from 1 to"),
        (lambda: DiscreteVP.cosine(max_beta=1.0), "max_beta = 1.0: expected a number between 0 and 1"),
        (lambda: DiscreteVP.cosine(steps=1).rescaled(), "1 betas cannot be rescaled .* at least two"),
        (lambda: DiscreteVP([0.999] * 900).rescaled(), "cannot be rescaled .* signal before the last timestep"),
        (lambda: LinearVP(0.1, np.inf), "expected 0 < beta_0 < beta_1"),
        (lambda: LinearVP(np.nan, 20.0), "expected 0 < beta_0 < beta_1"),
        (lambda: LinearVP(steps=0), "steps = 0: expected a whole number"),
        (lambda: Flow(shift=0.0), "shift = 0.0: expected a positive number"),
        (lambda: Flow(shift=np.nan), "shift = nan: expected a positive number"),
        (lambda: Flow(steps=-1), "steps = -1: expected a whole number"),
        (lambda: DiscreteVP.linear().alpha_bar(1000), r"outside 0\.\.999"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
