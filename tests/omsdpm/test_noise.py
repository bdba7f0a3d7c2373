import numpy as np
import pytest

from omsdpm import InputError
from omsdpm.noise import DiscreteVP, LinearVP, lambda_of, sigma_of

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
        (lambda: DiscreteVP.linear().alpha_bar(1000), r"outside 0\.\.999"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InputError, match=message):
        make()
