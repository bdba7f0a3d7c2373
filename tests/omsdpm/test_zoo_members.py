"""Members as noise predictors, whatever their networks predict."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from omsdpm.noise import DiscreteVP
from omsdpm.zoo import Member

NOISE = DiscreteVP.linear()
MEAN, SPREAD = 0.3, 0.2


def exact(x, t):
    """Noise, image and velocity of images ``N(MEAN, SPREAD^2)``, in closed form, float64."""
    alpha_bar = torch.as_tensor(NOISE.alpha_bar(np.broadcast_to(np.asarray(t, dtype=float), len(x))))
    alpha, sigma = (value.view(-1, 1, 1, 1) for value in (alpha_bar.sqrt(), (1 - alpha_bar).sqrt()))
    x = x.double()
    eps = sigma * (x - alpha * MEAN) / (alpha**2 * SPREAD**2 + sigma**2)
    x_0 = (x - sigma * eps) / alpha
    return {"epsilon": eps, "sample": x_0, "v_prediction": alpha * eps - sigma * x_0}


class FakeUNet(torch.nn.Module):
    """Called like diffusers' U-Net; knows the right answer, and remembers how it was asked."""

    def __init__(self, prediction_type, dtype=torch.float64, variance=False):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, dtype=dtype))
        self.prediction_type, self.variance = prediction_type, variance
        self.asked = []

    def forward(self, x, timesteps):
        self.asked.append((x.dtype, timesteps))
        out = exact(x, timesteps.numpy())[self.prediction_type].to(x.dtype)
        return SimpleNamespace(sample=torch.cat([out, torch.full_like(out, 1e9)], dim=1) if self.variance else out)


def images(n=5, channels=2, dtype=torch.float64):
    return torch.randn((n, channels, 4, 4), generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("t", [0, 1, 40, 500.0, 999, torch.tensor(320), torch.tensor([0, 3, 77, 400, 999])])
def test_every_prediction_type_gives_the_noise(prediction_type, t):
    x = images()
    member = Member("m", FakeUNet(prediction_type), NOISE, prediction_type)
    eps = member(x, t)
    assert eps.dtype == torch.float64 and eps.shape == x.shape
    torch.testing.assert_close(eps, exact(x, np.asarray(t))["epsilon"], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
def test_between_whole_timesteps_too(prediction_type):
    """DPM-Solver asks at times between those of training."""
    x, t = images(2), [12.25, 700.5]
    unet = FakeUNet(prediction_type)
    eps = Member("m", unet, NOISE, prediction_type)(x, torch.tensor(t, dtype=torch.float64))
    torch.testing.assert_close(eps, exact(x, t)["epsilon"], rtol=1e-10, atol=1e-10)
    assert unet.asked[0][1].tolist() == t


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("given", [torch.float32, torch.float64])
def test_float32_networks_take_and_give_the_images_precision(prediction_type, given):
    x = images(dtype=given)
    unet = FakeUNet(prediction_type, torch.float32)
    eps = Member("m", unet, NOISE, prediction_type)(x, 600)
    assert eps.dtype == given
    assert [asked for asked, _ in unet.asked] == [torch.float32]
    torch.testing.assert_close(eps.double(), exact(x, 600)["epsilon"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
def test_a_learned_variance_is_cut_off(prediction_type):
    x = images()
    member = Member("m", FakeUNet(prediction_type, variance=True), NOISE, prediction_type)
    torch.testing.assert_close(member(x, 250), exact(x, 250)["epsilon"], rtol=1e-10, atol=1e-10)


def test_a_timestep_outside_the_betas_is_refused():
    with pytest.raises(ValueError, match=r"timestep 1000 is outside 0\.\.999"):
        Member("m", FakeUNet("sample"), NOISE, "sample")(images(), 1000)


def test_prediction_types_sample_alike():
    """The same function told in three ways gives the same images, and the images' own moments."""
    from omsdpm import DDIMSpace
    from omsdpm.sampling import sample

    x_T = torch.randn((400, 1, 2, 2), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    members = [Member(kind, FakeUNet(kind), NOISE, kind) for kind in ("epsilon", "sample", "v_prediction")]
    space = DDIMSpace(3, 50)
    one, two, three = (sample(members, np.full(50, k), x_T, space=space, noise=NOISE) for k in (1, 2, 3))
    torch.testing.assert_close(two, one, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(three, one, rtol=1e-9, atol=1e-9)
    assert one.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert one.std().item() == pytest.approx(SPREAD, rel=0.15)
