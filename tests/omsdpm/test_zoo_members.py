"""Members as noise predictors, whatever their networks predict."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from omsdpm import InputError
from omsdpm.networks import Network
from omsdpm.networks.predictions import PREDICTIONS, training_target
from omsdpm.networks.unet2d import UNet2D
from omsdpm.noise import DiscreteVP, Noise
from omsdpm.zoo import Member, ModelZoo

NOISE = DiscreteVP.linear()
MEAN, SPREAD = 0.3, 0.2


def exact(x, t):
    """Noise, image and velocity of images ``N(MEAN, SPREAD^2)``, in closed form, float64."""
    alpha_bar = torch.as_tensor(NOISE.alpha_bar(np.broadcast_to(np.asarray(t, dtype=float), len(x))))
    alpha, sigma = (value.view(-1, 1, 1, 1) for value in (alpha_bar.sqrt(), (1 - alpha_bar).sqrt()))
    x = x.double()
    eps = sigma * (x - alpha * MEAN) / (alpha**2 * SPREAD**2 + sigma**2)
    x_0 = (x - sigma * eps) / alpha
    return {"epsilon": eps, "sample": x_0, "v_prediction": alpha * eps - sigma * x_0, "flow_prediction": eps - x_0}


@dataclass(frozen=True)
class Flow(Noise):
    """Flow matching, written out here so that members owe it to nobody else's formulas."""

    kind = "flow-of-this-test"
    steps: int = 1000

    def alpha(self, t):
        return 1 - np.asarray(t, dtype=float)

    def sigma(self, t):
        return np.asarray(t, dtype=float)

    def inverse_lambda(self, lam):
        return 1 / (1 + np.exp(lam))

    def timestep(self, t):
        return self.steps * np.asarray(t, dtype=float)

    def time(self, timestep):
        return np.asarray(timestep, dtype=float) / self.steps


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


@pytest.mark.parametrize("prediction_type", PREDICTIONS)
@pytest.mark.parametrize("t", [0, 1, 40, 500.0, 999, torch.tensor(320), torch.tensor([0, 3, 77, 400, 999])])
def test_every_prediction_type_gives_the_noise(prediction_type, t):
    x = images()
    member = Member("m", UNet2D(FakeUNet(prediction_type)), NOISE, prediction_type)
    eps = member(x, t)
    assert eps.dtype == torch.float64 and eps.shape == x.shape
    torch.testing.assert_close(eps, exact(x, np.asarray(t))["epsilon"], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("prediction_type", PREDICTIONS)
def test_between_whole_timesteps_too(prediction_type):
    """DPM-Solver asks at times between those of training."""
    x, t = images(2), [12.25, 700.5]
    unet = FakeUNet(prediction_type)
    eps = Member("m", UNet2D(unet), NOISE, prediction_type)(x, torch.tensor(t, dtype=torch.float64))
    torch.testing.assert_close(eps, exact(x, t)["epsilon"], rtol=1e-10, atol=1e-10)
    assert unet.asked[0][1].tolist() == t


@pytest.mark.parametrize("prediction_type", PREDICTIONS)
@pytest.mark.parametrize("given", [torch.float32, torch.float64])
def test_float32_networks_take_and_give_the_images_precision(prediction_type, given):
    x = images(dtype=given)
    unet = FakeUNet(prediction_type, torch.float32)
    eps = Member("m", UNet2D(unet), NOISE, prediction_type)(x, 600)
    assert eps.dtype == given
    assert [asked for asked, _ in unet.asked] == [torch.float32]
    torch.testing.assert_close(eps.double(), exact(x, 600)["epsilon"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("prediction_type", PREDICTIONS)
def test_a_learned_variance_is_cut_off(prediction_type):
    x = images()
    member = Member("m", UNet2D(FakeUNet(prediction_type, variance=True)), NOISE, prediction_type)
    torch.testing.assert_close(member(x, 250), exact(x, 250)["epsilon"], rtol=1e-10, atol=1e-10)


def test_a_timestep_outside_the_betas_is_refused():
    with pytest.raises(ValueError, match=r"timestep 1000 is outside 0\.\.999"):
        Member("m", UNet2D(FakeUNet("sample")), NOISE, "sample")(images(), 1000)


@pytest.mark.parametrize("prediction_type", PREDICTIONS)
@pytest.mark.parametrize("t", [1, 500.5, torch.tensor([0, 3, 77, 400, 999])])
def test_every_prediction_type_gives_the_image(prediction_type, t):
    x = images()
    member = Member("m", UNet2D(FakeUNet(prediction_type)), NOISE, prediction_type)
    torch.testing.assert_close(member.predict(x, t, "sample"), exact(x, np.asarray(t))["sample"], rtol=1e-8, atol=1e-8)
    assert torch.equal(member.predict(x, t, "epsilon"), member(x, t))


class Captioned(Network):
    """Takes more than labels, as text-conditional networks do."""

    num_classes = 3
    conditions = ("labels", "caption")

    def __call__(self, x, timesteps, **conditions):
        return x + conditions["labels"].view(-1, 1, 1, 1) + conditions["caption"]


def test_conditions_are_given_by_name():
    x = images(2)
    member = Member("m", Captioned(), NOISE)
    labels, caption = torch.tensor([0, 2]), torch.tensor(10.0)
    expected = x + torch.tensor([10.0, 12.0]).view(2, 1, 1, 1)
    torch.testing.assert_close(member(x, 5, labels, caption=caption), expected.to(x))
    torch.testing.assert_close(member.predict(x, 5, labels=labels, caption=caption), expected.to(x))
    with pytest.raises(InputError, match="member m takes caption"):
        member(x, 5, labels)
    with pytest.raises(InputError, match=r"member m takes labels: give them with omsdpm\.guidance.conditioned"):
        member(x, 5, caption=caption)
    with pytest.raises(InputError, match="member m takes no style"):
        member(x, 5, labels, caption=caption, style=caption)


def test_a_prediction_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match=r"unknown prediction_type 'velocity'; choose one of: .*v_prediction"):
        Member("m", Captioned(), NOISE, "velocity")
    with pytest.raises(InputError, match="unknown target of a prediction 'v_prediction'"):
        Member("m", UNet2D(FakeUNet("sample")), NOISE, "sample").predict(images(), 5, "v_prediction")


@pytest.mark.parametrize("prediction_type", PREDICTIONS)
def test_members_of_a_flow_matching_zoo(prediction_type):
    """Not variance preserving, and without signal at its end."""
    flow = Flow()
    x_0, eps = images(3), torch.randn(3, 2, 4, 4, dtype=torch.float64)
    t = torch.tensor([1000.0, 640.5, 2.0], dtype=torch.float64)
    sigma = (t / 1000).view(-1, 1, 1, 1)
    x = (1 - sigma) * x_0 + sigma * eps

    class Told(Network):
        def __call__(self, x, timesteps, **conditions):
            rows = slice(3 - len(x), 3)
            assert torch.equal(timesteps, t[rows])
            return training_target(prediction_type, x_0[rows], eps[rows], 1 - sigma[rows], sigma[rows])

    member = Member("m", Told(), flow, prediction_type)
    torch.testing.assert_close(member(x, t), eps, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(member.predict(x[1:], t[1:], "sample"), x_0[1:], rtol=1e-9, atol=1e-9)
    if prediction_type == "epsilon":
        with pytest.raises(InputError, match="'epsilon' says nothing of 'sample' where there is only noise"):
            member.predict(x, t, "sample")
    else:
        torch.testing.assert_close(member.predict(x, t, "sample"), x_0, rtol=1e-9, atol=1e-9)


def test_prediction_types_sample_alike():
    """The same function told in three ways gives the same images, and the images' own moments."""
    from omsdpm import DDIMSpace
    from omsdpm.sampling import sample

    x_T = torch.randn((400, 1, 2, 2), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    members = [Member(kind, UNet2D(FakeUNet(kind)), NOISE, kind) for kind in PREDICTIONS]
    space = DDIMSpace(4, 50)
    one, *others = (sample(members, np.full(50, k), x_T, space=space, noise=NOISE) for k in (1, 2, 3, 4))
    for other in others:
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-9)
    assert one.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert one.std().item() == pytest.approx(SPREAD, rel=0.15)


def test_a_zoo_is_told_in_a_line(tiny_zoo):
    """Not by the reprs of its networks, which are thousands of lines."""
    text = repr(ModelZoo.load(tiny_zoo))
    assert len(text) < 300 and "\n" not in text and "tiny" in text
