"""Labels and classifier guidance, on networks small enough to say what must come out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import UNet2DModel

from omsdpm import DDIMSpace, DPMSolverSpace, InputError, ModelZoo, MultistepSpace
from omsdpm.guidance import conditioned, draw_labels, guided, num_classes
from omsdpm.networks.unet2d import write_unet
from omsdpm.noise import DiscreteVP, LinearVP, Noise
from omsdpm.sampling import sample, sample_population
from omsdpm.scoring.sampler import Sampler
from omsdpm.zoo import ZooFile
from omsdpm.zoo.profile import measure_latency

MEANS, SPREAD = (-0.6, 0.8), 0.3
SPACES = [DDIMSpace(2, 8), DPMSolverSpace(2, 3), MultistepSpace(2, 8)]


def noise_of(space):
    return LinearVP() if isinstance(space, DPMSolverSpace) else DiscreteVP.linear()


def moments(t, noise, x):
    """Means ``(n, 2, 1, 1)`` a class and the common variance of ``x_t``, and sigma."""
    alpha_bar = torch.as_tensor(noise.alpha_bar(np.broadcast_to(np.asarray(t, dtype=float), (len(x),)))).to(x)
    alpha_bar = alpha_bar.view(-1, 1, 1, 1)
    means = alpha_bar.sqrt() * torch.tensor(MEANS).to(x).view(1, 2, 1, 1)
    return means, alpha_bar * SPREAD**2 + 1 - alpha_bar, (1 - alpha_bar).sqrt()


class Mixture:
    """Exact noise predictions and class probabilities of pixels from one of two Gaussians a class."""

    def __init__(self, noise):
        self.noise = noise

    def classify(self, x, t):
        means, variance, _ = moments(t, self.noise, x)
        return -((x - means) ** 2 / (2 * variance)).sum(dim=(2, 3))  # of images with one pixel, (n, 2)

    def of_class(self, label):
        def eps(x, t):
            means, variance, sigma = moments(t, self.noise, x)
            return sigma * (x - means[:, label : label + 1]) / variance

        return eps

    def marginal(self, x, t):
        means, variance, sigma = moments(t, self.noise, x)
        weights = torch.softmax(self.classify(x, t), dim=1)[:, :, None, None]
        return sigma * (weights * (x - means) / variance).sum(dim=1, keepdim=True)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.solver)
def test_the_gradient_of_the_exact_classifier_makes_the_conditional_sampler(space):
    """Bayes: grad log p(x | y) = grad log p(x) + grad log p(y | x), so both sample the same."""
    noise = noise_of(space)
    world = Mixture(noise)
    labels = [0, 1, 1, 0, 1]
    members = guided([world.marginal] * 2, world.classify, labels, noise=noise)
    X = space.random(4, np.random.default_rng(0), null=0.4)
    x_T = torch.randn(5, 1, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for group_siblings in (False, True):
        for row, x_0 in sample_population(members, X, x_T, space=space, noise=noise, group_siblings=group_siblings):
            expected = torch.cat(
                [
                    sample([world.of_class(label)] * 2, X[row], x_T[i : i + 1], space=space, noise=noise)
                    for i, label in enumerate(labels)
                ]
            )
            torch.testing.assert_close(x_0, expected, rtol=1e-9, atol=1e-9)


def test_the_formula_with_a_linear_classifier():
    """eps - sigma * scale * (w_y - sum_k p_k w_k), also for a timestep a row and under inference mode."""
    noise = DiscreteVP.linear()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 3, 4, 4, generator=generator)
    weights = torch.randn(5, 48, generator=generator)
    labels, t = torch.tensor([0, 1, 4]), torch.tensor([10.0, 10.0, 10.0, 700.5, 700.5, 700.5])
    (member,) = guided([lambda x, t: 0.1 * x], lambda x, t: x.flatten(1) @ weights.T, labels, scale=3.0, noise=noise)
    p = torch.softmax(x.flatten(1) @ weights.T, dim=1)
    gradient = (weights[labels.repeat(2)] - p @ weights).view_as(x)
    sigma = torch.as_tensor(np.sqrt(1 - noise.alpha_bar(t.numpy()))).float().view(-1, 1, 1, 1)
    expected = 0.1 * x - 3 * sigma * gradient
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            torch.testing.assert_close(member(x, t), expected, rtol=1e-4, atol=1e-5)
    (unguided,) = guided([lambda x, t: 0.1 * x], lambda x, t: x.flatten(1) @ weights.T, labels, scale=0, noise=noise)
    assert torch.equal(unguided(x, t), 0.1 * x)


class Flow(Noise):
    """Flow matching with shift 3, for guidance that is not variance preserving."""

    kind = "flow-of-this-test"
    steps = 1000
    alpha = inverse_lambda = None

    def sigma(self, t):
        return 3 * t / (1 + 2 * t)

    def timestep(self, t):
        return 1000 * t

    def time(self, timestep):
        return np.asarray(timestep) / 1000


def test_guidance_takes_sigma_from_any_noise():
    x, t = torch.randn(3, 1, 2, 2, dtype=torch.float64), torch.tensor([1000.0, 250.0, 0.5])
    weights = torch.randn(2, 4, dtype=torch.float64)
    for member in guided([lambda x, t: 0 * x], lambda x, t: x.flatten(1) @ weights.T, [1, 1, 1], noise=Flow()):
        p = torch.softmax(x.flatten(1) @ weights.T, dim=1)
        sigma = torch.tensor([1.0, 0.5, 0.0015 / 1.001], dtype=torch.float64)
        expected = -sigma[:, None] * (weights[1] - p @ weights)
        torch.testing.assert_close(member(x, t).flatten(1), expected, rtol=1e-9, atol=1e-12)


def test_predict_is_forwarded_with_labels_and_not_where_guidance_has_no_meaning(zoo):
    x, labels = torch.randn(4, 1, 8, 8), np.array([0, 2, 1, 0])
    plain, labeled = conditioned(zoo.denoisers, labels)
    with torch.no_grad():
        for target in ("epsilon", "sample"):
            direct = zoo.members[1].predict(x, 300.0, target, labels=torch.from_numpy(labels))
            assert torch.equal(labeled.predict(x, 300.0, target), direct)
            # A batch of two copies side by side, as populations are sampled.
            twice = labeled.predict(torch.cat([x, x]), 300.0, target)
            torch.testing.assert_close(twice, torch.cat([direct, direct]))
        assert torch.equal(plain.predict(x, 300.0, "sample"), zoo.members[0].predict(x, 300.0, "sample"))
    classifier = lambda x, t: x.flatten(1)[:, :3]  # noqa: E731
    assert not any(
        hasattr(member, "predict") for member in guided([plain, labeled], classifier, labels, noise=zoo.noise)
    )

    class Bare:
        num_classes = 3

        def __call__(self, x, t, labels):
            return x

    (bare,) = conditioned([Bare()], labels)
    assert not hasattr(bare, "predict") and torch.equal(bare(x, 3), x)


# -- members that take labels ----------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A zoo of one member without labels and one for three classes."""
    folder = tmp_path_factory.mktemp("labeled-zoo")
    for name, classes in (("1", None), ("2", 3)):
        torch.manual_seed(0)
        unet = UNet2DModel(
            sample_size=8,
            in_channels=1,
            out_channels=1,
            block_out_channels=(4,),
            layers_per_block=1,
            down_block_types=("DownBlock2D",),
            up_block_types=("UpBlock2D",),
            norm_num_groups=4,
            add_attention=False,
            num_class_embeds=classes,
        )
        write_unet(unet, folder / name)
    images = {"name": "labeled", "image_size": 8, "channels": 1}
    ZooFile(zoo=images, noise={}, member=({"folder": "1"}, {"folder": "2"})).write(folder)
    return folder


@pytest.fixture(scope="module")
def zoo(folder):
    return ModelZoo.load(folder)


def test_labels_reach_the_members_that_take_them(zoo):
    assert num_classes(zoo.denoisers) == 3 and num_classes(zoo.denoisers[:1]) is None
    x, labels = torch.randn(4, 1, 8, 8), np.array([0, 2, 1, 0])
    plain, labeled = conditioned(zoo.denoisers, labels)
    with torch.no_grad():
        direct = zoo.members[1].network.module(x, 300.0, class_labels=torch.from_numpy(labels)).sample
        assert torch.equal(labeled(x, 300.0), direct)
        assert torch.equal(plain(x, 300.0), zoo.members[0](x, 300.0))
        assert not torch.allclose(conditioned(zoo.denoisers, [1] * 4)[1](x, 300.0), direct)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.solver)
def test_populations_take_labels_and_guidance_at_once(zoo, space):
    noise, labels = noise_of(space), [2, 0, 1]
    members = conditioned(zoo.denoisers, labels)
    members = guided(members, lambda x, t: x.flatten(1)[:, :3], labels, scale=0.5, noise=noise)
    X = space.random(5, np.random.default_rng(1), null=0.5)
    x_T = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    for row, x_0 in sample_population(members, X, x_T, space=space, noise=noise, group_siblings=True):
        alone = sample(members, X[row], x_T, space=space, noise=noise)
        torch.testing.assert_close(x_0, alone, rtol=1e-4, atol=1e-4)


def test_labels_of_a_sampler_do_not_depend_on_its_batches(zoo):
    space = DDIMSpace(2, 6)
    x = [2, 0, 1, 2, 0, 2]

    def images(label, batch_size):
        sampler = Sampler(zoo, space, labels=label, batch_size=batch_size)
        return torch.cat([x_0 for _, _, x_0 in sampler.batches([x], 7, seed=3)])

    torch.testing.assert_close(images("random", 7), images("random", 3), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(images(1, 7), images("1", 2), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(images(1, 7), images(2, 7))
    assert draw_labels("2,0", 5, 3, seed=0).tolist() == draw_labels((2, 0), 5, 3, seed=0).tolist() == [2, 0, 2, 0, 2]
    drawn = draw_labels("random", 300, 3, seed=0)
    assert set(drawn.tolist()) == {0, 1, 2}


def test_a_zoo_with_labels_is_profiled(zoo):
    assert min(measure_latency(zoo, batch_size=2, repeats=1, warmup=0)) > 0


def test_what_cannot_be_used_is_told(zoo):
    space, x = DDIMSpace(2, 6), torch.zeros(2, 1, 8, 8)
    with pytest.raises(InputError, match="member 2 takes labels"):
        zoo.denoisers[1](x, 5)
    with pytest.raises(InputError, match="member 1 takes no labels"):
        zoo.members[0](x, 5, labels=torch.zeros(2, dtype=torch.long))
    with pytest.raises(InputError, match=r"label 3: the classes are numbered 0\.\.2"):
        conditioned(zoo.denoisers, [0, 3])
    with pytest.raises(InputError, match="whole numbers"):
        conditioned(zoo.denoisers, [0.5, 1.0])
    with pytest.raises(InputError, match="none of whose members takes any"):
        conditioned(zoo.denoisers[:1], [0])
    with pytest.raises(InputError, match="3 labels for a batch of 2 images"):
        conditioned(zoo.denoisers, [0, 1, 2])[1](x, 5)
    with pytest.raises(InputError, match="scale nan"):
        guided(zoo.denoisers, lambda x, t: x, [0], noise=zoo.noise, scale=float("nan"))
    with pytest.raises(InputError, match=r"label 7: the classifier knows the classes 0\.\.1"):
        guided(zoo.denoisers, lambda x, t: x.flatten(1)[:, :2], [7, 0], noise=zoo.noise)[0](x, 5)
    with pytest.raises(InputError, match=r"takes labels: give a class, 0\.\.2"):
        Sampler(zoo, space)
    with pytest.raises(InputError, match="'cat': give a class"):
        Sampler(zoo, space, labels="cat")
    with pytest.raises(InputError, match="no member of zoo 'labeled' takes labels"):
        Sampler(zoo.subset([1]), DDIMSpace(1, 6), labels=0)
