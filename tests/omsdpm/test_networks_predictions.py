"""What networks predict: each conversion undoes its training target, on any noise schedule."""

import pytest
import torch

from omsdpm import InputError
from omsdpm.networks.predictions import PREDICTIONS, check_prediction, convert, training_target

ALPHAS = torch.tensor([0.999, 0.7, 0.3, 0.02], dtype=torch.float64)
SCHEDULES = {
    "vp": (ALPHAS, (1 - ALPHAS**2).sqrt()),
    "flow": (ALPHAS, 1 - ALPHAS),
    "neither": (ALPHAS, 3 * ALPHAS),
}


def images(n=4, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn((n, 2, 3, 3), generator=generator, dtype=dtype) for _ in range(2)]


def weighed(weight):
    return weight.view(-1, 1, 1, 1)


def test_the_table_is_that_of_the_field():
    """The targets written out, for one number of each."""
    x_0, eps, alpha, sigma = (torch.tensor([value], dtype=torch.float64) for value in (0.5, -2.0, 0.8, 0.6))
    targets = {name: training_target(name, x_0, eps, alpha, sigma).item() for name in PREDICTIONS}
    assert targets == {
        "epsilon": -2.0,
        "sample": 0.5,
        "v_prediction": pytest.approx(0.8 * -2.0 - 0.6 * 0.5),
        "flow_prediction": -2.5,
    }


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_conversion_is_the_inverse_of_the_training_target(prediction, schedule):
    x_0, eps = images()
    alpha, sigma = SCHEDULES[schedule]
    x = weighed(alpha) * x_0 + weighed(sigma) * eps
    output = training_target(prediction, x_0, eps, weighed(alpha), weighed(sigma))
    for target, expected in (("epsilon", eps), ("sample", x_0)):
        given = convert(output, x, alpha, sigma, prediction=prediction, target=target)
        torch.testing.assert_close(given, expected, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("prediction", ["sample", "v_prediction", "flow_prediction"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_image_is_known_where_there_is_no_signal(prediction, dtype):
    x_0, eps = images(dtype=dtype)
    alpha, sigma = torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
    output = training_target(prediction, x_0, eps, weighed(alpha).to(dtype), weighed(sigma).to(dtype))
    image = convert(output, eps, alpha, sigma, prediction=prediction, target="sample")
    assert image.dtype == dtype and image.isfinite().all()
    torch.testing.assert_close(image, x_0)


@pytest.mark.parametrize("prediction, target, alpha", [("epsilon", "sample", 0.0), ("sample", "epsilon", 1.0)])
def test_what_a_prediction_says_nothing_of_is_refused(prediction, target, alpha):
    x, out = images(1)
    alpha = torch.tensor([alpha], dtype=torch.float64)
    with pytest.raises(InputError, match=f"predicts '{prediction}' says nothing of '{target}'") as error:
        convert(out, x, alpha, 1 - alpha, prediction=prediction, target=target)
    assert "\n" not in str(error.value)
    same = convert(out, x, alpha, 1 - alpha, prediction=prediction, target=prediction)
    assert same is out


@pytest.mark.parametrize("prediction", ["sample", "v_prediction"])
def test_float32_is_converted_as_it_always_was(prediction):
    """The formulas of variance-preserving schedules, to the bit: scores of trained zoos rest on them."""
    x, out = images(dtype=torch.float32)
    alpha, sigma = SCHEDULES["vp"]
    a, s = weighed(alpha.float()), weighed(sigma.float())
    expected = (x - a * out) / s if prediction == "sample" else a * out + s * x
    assert torch.equal(convert(out, x, alpha, sigma, prediction=prediction), expected)


def test_unknown_names_are_told():
    x, out = images(1)
    one = torch.ones(1, dtype=torch.float64)
    with pytest.raises(InputError, match="unknown prediction_type 'eps'; choose one of: epsilon, sample, "):
        check_prediction("eps")
    with pytest.raises(InputError, match="unknown target of a prediction 'simple'; choose one of: sample, epsilon"):
        convert(out, x, one, one, prediction="epsilon", target="simple")
