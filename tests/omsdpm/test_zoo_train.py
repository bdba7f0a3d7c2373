"""Training of members: every prediction type, killed and resumed, refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from omsdpm import InputError
from omsdpm.networks.predictions import PREDICTIONS, training_target
from omsdpm.networks.unet2d import WEIGHTS_FILE, UNet2D, load_unet
from omsdpm.noise import DiscreteVP, Noise
from omsdpm.zoo import Member
from omsdpm.zoo import train as module
from omsdpm.zoo.held_out import HeldOutLoss, noise_loss, split_rows
from omsdpm.zoo.recipe import MemberRecipe, Training, ZooRecipe
from omsdpm.zoo.train import CHECKPOINT, train_member

UNET = {
    "block_out_channels": [4],
    "layers_per_block": 1,
    "down_block_types": ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"],
    "norm_num_groups": 2,
    "add_attention": False,
}
ZOO = ZooRecipe(
    zoo={"name": "few", "image_size": 8, "channels": 1}, held_out=0.0, member=({"name": "m", "unet": UNET},)
)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (20, 1, 8, 8)).astype(np.float32)


def recipe(prediction_type="epsilon", steps=6, unet=UNET, **training):
    plan = Training(steps=steps, batch_size=4, warmup=2, **training)
    return MemberRecipe(name="m", unet=unet, prediction_type=prediction_type, training=plan)


def weights(folder):
    return load_file(folder / WEIGHTS_FILE)


def assert_same(first, second):
    one, two = weights(first), weights(second)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=0, atol=0)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_resumed_training_ends_where_an_uninterrupted_one_does(tmp_path, monkeypatch, dropout):
    member = recipe(unet={**UNET, "dropout": dropout})
    train_member(ZOO, member, IMAGES, tmp_path / "whole")
    monkeypatch.setattr(module, "CHECKPOINT_EVERY", 2)
    save = module._save

    def killed(path, unet, optimizer, generator, ema, step):
        save(path, unet, optimizer, generator, ema, step)
        if step == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "_save", killed)
    with pytest.raises(KeyboardInterrupt):
        train_member(ZOO, member, IMAGES, tmp_path / "cut")
    assert (tmp_path / "cut" / CHECKPOINT).exists() and not (tmp_path / "cut" / WEIGHTS_FILE).exists()
    monkeypatch.setattr(module, "_save", save)
    torch.manual_seed(12345)  # another process, another state
    train_member(ZOO, member, IMAGES, tmp_path / "cut")
    assert not (tmp_path / "cut" / CHECKPOINT).exists()
    assert_same(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
def test_a_recipe_gives_the_weights_that_it_always_gave(tmp_path, prediction_type):
    """The loop that the embedded zoo was trained with, written out: same random numbers, same bits."""
    from diffusers import UNet2DModel

    member = recipe(prediction_type, steps=5, seed=7, learning_rate=1e-2)
    torch.manual_seed(7)
    unet = UNet2DModel(sample_size=8, in_channels=1, out_channels=1, **UNET)
    ema = [parameter.detach().clone() for parameter in unet.parameters()]
    optimizer = torch.optim.Adam(unet.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(7)
    alpha_bar = torch.from_numpy(np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))).float()
    for step in range(5):
        optimizer.param_groups[0]["lr"] = 1e-2 * min(1.0, (step + 1) / 2) * 0.5 * (1 + np.cos(np.pi * step / 5))
        x_0 = torch.from_numpy(IMAGES)[torch.randint(20, (4,), generator=generator)]
        t = torch.randint(1000, (4,), generator=generator)
        eps = torch.randn(x_0.shape, generator=generator)
        alpha, sigma = alpha_bar[t].sqrt().view(-1, 1, 1, 1), (1 - alpha_bar[t]).sqrt().view(-1, 1, 1, 1)
        targets = {"epsilon": eps, "sample": x_0, "v_prediction": alpha * eps - sigma * x_0}
        output = unet(alpha * x_0 + sigma * eps, t).sample
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.mse_loss(output, targets[prediction_type]).backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(ema, list(unet.parameters()), 1 - min(0.999, (1 + step) / (10 + step)))
    got = dict(load_unet(train_member(ZOO, member, IMAGES, tmp_path / "m")).named_parameters())
    for (name, _), expected in zip(unet.named_parameters(), ema, strict=True):
        assert torch.equal(got[name], expected), name


def test_training_is_a_function_of_its_seed(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_member(ZOO, recipe(steps=2, seed=seed), IMAGES, tmp_path / name)
    assert_same(tmp_path / "a", tmp_path / "b")
    with pytest.raises(AssertionError):
        assert_same(tmp_path / "a", tmp_path / "c")


def test_a_finished_member_is_left_alone(tmp_path):
    folder = train_member(ZOO, recipe(steps=1), IMAGES, tmp_path / "m")
    before = (folder / WEIGHTS_FILE).stat().st_mtime_ns
    assert train_member(ZOO, recipe(steps=5), IMAGES, tmp_path / "m") == folder
    assert (folder / WEIGHTS_FILE).stat().st_mtime_ns == before


@pytest.mark.parametrize("prediction_type", PREDICTIONS)
def test_training_makes_a_better_noise_prediction(tmp_path, prediction_type):
    """Of constant images every prediction is a simple function; a short training comes near it."""
    images = np.full((8, 1, 8, 8), 0.5, dtype=np.float32)
    noise = DiscreteVP.linear()
    generator = torch.Generator().manual_seed(3)
    t = torch.randint(200, 800, (64,), generator=generator)
    eps = torch.randn((64, 1, 8, 8), generator=generator)
    alpha = torch.from_numpy(noise.alpha_bar(t.numpy())).sqrt().float().view(-1, 1, 1, 1)
    x = alpha * 0.5 + (1 - alpha**2).sqrt() * eps
    errors = []
    for steps in (1, 40):
        member = recipe(prediction_type, steps, learning_rate=1e-2)
        folder = train_member(ZOO, member, images, tmp_path / str(steps))
        with torch.no_grad():
            out = Member("m", UNet2D(load_unet(folder)), noise, prediction_type)(x, t)
        errors.append((out - eps).square().mean().item())
    assert errors[1] < 0.7 * errors[0]


class Spy(torch.nn.Module):
    """In place of a U-Net: remembers what it was trained on, and learns one number."""

    def __init__(self, **arguments):
        super().__init__()
        self.arguments = arguments
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.asked = []

    def forward(self, x, timesteps, **given):
        self.asked.append((x, timesteps, given))
        return SimpleNamespace(sample=self.weight.expand(x.shape))


def spied(monkeypatch, tmp_path, zoo, member, images, **given):
    """The spy after a training."""
    spies = []
    monkeypatch.setattr("diffusers.UNet2DModel", lambda **arguments: spies.append(Spy(**arguments)) or spies[-1])
    monkeypatch.setattr(module, "write_unet", lambda *args: None)
    train_member(zoo, member, images, tmp_path / "m", **given)
    return spies[-1]  # the first has no memory: it only tells its sizes


class TwoSteps(Noise):
    """Neither variance preserving nor linear: at its end there is no signal."""

    kind = "two-steps"
    steps = 2

    def alpha(self, t):
        return 2 * (1 - np.asarray(t))

    def sigma(self, t):
        return 3 * np.asarray(t)

    def timestep(self, t):
        return 70.5 * np.asarray(t)

    inverse_lambda = time = None


@pytest.mark.parametrize("prediction_type", PREDICTIONS)
def test_any_noise_and_prediction_is_trained(tmp_path, monkeypatch, prediction_type):
    """Inputs at the schedule's own timesteps, and the target of each prediction, told by the gradient."""
    zoo = ZOO.model_copy(update={"noise": TwoSteps()})
    images = np.full((3, 1, 8, 8), 0.25, dtype=np.float32)
    targets = []
    monkeypatch.setattr(module, "training_target", lambda *args: targets.append(args) or training_target(*args))
    spy = spied(monkeypatch, tmp_path, zoo, recipe(prediction_type, steps=8), images)
    seen = set()
    for (x, timesteps, given), (name, x_0, eps, alpha, sigma) in zip(spy.asked[: len(targets)], targets, strict=True):
        assert given == {} and name == prediction_type and (x_0 == 0.25).all()
        t = timesteps.double() / 70.5
        seen |= set(t.tolist())
        torch.testing.assert_close(alpha.flatten().double(), 2 * (1 - t))
        torch.testing.assert_close(sigma.flatten().double(), 3 * t)
        torch.testing.assert_close(x, alpha * x_0 + sigma * eps)
    assert seen == {0.5, 1.0}


def test_labels_go_with_their_images(tmp_path, monkeypatch):
    labels = np.array([0, 2, 1, 2, 2])
    images = np.broadcast_to(labels.reshape(-1, 1, 1, 1), (5, 1, 8, 8)).astype(np.float32)
    member = recipe("sample", steps=5, unet={**UNET, "num_class_embeds": 3})
    targets = []
    monkeypatch.setattr(module, "training_target", lambda *args: targets.append(args[1]) or training_target(*args))
    spy = spied(monkeypatch, tmp_path, ZOO, member, images, labels=labels)
    assert spy.arguments["num_class_embeds"] == 3
    for (_, _, given), x_0 in zip(spy.asked[: len(targets)], targets, strict=True):
        assert given["class_labels"].dtype == torch.int64
        assert given["class_labels"].tolist() == x_0[:, 0, 0, 0].tolist()


def test_a_class_conditional_member_learns_its_classes(tmp_path):
    """Images of a constant that the class decides: after training the label says which."""
    labels = np.arange(40) % 2
    images = np.broadcast_to(np.where(labels, 0.8, -0.8).reshape(-1, 1, 1, 1), (40, 1, 8, 8)).astype(np.float32)
    member = recipe("sample", steps=200, unet={**UNET, "num_class_embeds": 2}, learning_rate=3e-2, ema_decay=0.9)
    network = UNet2D(load_unet(train_member(ZOO, member, images, tmp_path / "m", labels=labels)))
    trained = Member("m", network, ZOO.noise, "sample")
    x = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        means = [trained.predict(x, 999, "sample", labels=torch.full((6,), k)).mean().item() for k in (0, 1)]
    assert means[0] < -0.3 and means[1] > 0.3


def test_labels_change_nothing_for_a_member_that_takes_none(tmp_path):
    train_member(ZOO, recipe(steps=2), IMAGES, tmp_path / "a")
    train_member(ZOO, recipe(steps=2), IMAGES, tmp_path / "b", labels=np.arange(20))
    assert_same(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(
    "unet, labels, message",
    [
        ({"num_class_embeds": 3}, None, "member 'm' takes labels, images here have none"),
        ({"num_class_embeds": 3}, np.full(20, 3), r"label 3: the classes are numbered 0\.\.2"),
        ({"num_class_embeds": 3}, np.full(20, 0.5), "expected whole numbers"),
        ({"num_class_embeds": 3}, np.zeros(19, dtype=int), "19 labels for 20 images"),
        ({"class_embed_type": "timestep"}, np.zeros(20, dtype=int), "has a class_embed_type"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(tmp_path, unet, labels, message):
    with pytest.raises(InputError, match=message):
        train_member(ZOO, recipe(unet={**UNET, **unet}), IMAGES, tmp_path / "m", labels=labels)
    assert not (tmp_path / "m").exists()


def test_progress_is_told_the_running_loss(tmp_path):
    told = []
    train_member(ZOO, recipe(steps=52), IMAGES, tmp_path / "m", progress=lambda *args: told.append(args))
    (step, steps, loss), (last, _, _) = told
    assert last == 52
    assert (step, steps) == (50, 52) and 0 < loss < 10


def test_the_average_is_written_not_the_last_step(tmp_path):
    for name, decay in (("last", 0.0), ("average", 0.9)):
        train_member(ZOO, recipe(steps=20, ema_decay=decay, learning_rate=1e-2), IMAGES, tmp_path / name)
    with pytest.raises(AssertionError):
        assert_same(tmp_path / "last", tmp_path / "average")


@pytest.mark.parametrize("shape", [(5, 3, 8, 8), (5, 1, 16, 16), (0, 1, 8, 8), (5, 8, 8)])
def test_images_of_another_format_are_refused(tmp_path, shape):
    with pytest.raises(InputError, match="images of shape"):
        train_member(ZOO, recipe(), np.zeros(shape, dtype=np.float32), tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("wrong", [{"widths": [4]}, {"down_block_types": ["NoBlock"]}])
def test_arguments_that_no_unet_takes_are_refused(tmp_path, wrong):
    with pytest.raises(InputError, match="member 'm' has no UNet2DModel arguments"):
        train_member(ZOO, recipe(unet={**UNET, **wrong}), IMAGES, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHECKPOINT_EVERY", 1)
    monkeypatch.setattr(module, "write_unet", lambda *args: None)
    folder = tmp_path / "m"
    monkeypatch.setattr("pathlib.Path.unlink", lambda *args, **kw: None)
    train_member(ZOO, recipe(steps=2), IMAGES, folder)
    monkeypatch.undo()
    other = recipe(steps=2, unet={**UNET, "block_out_channels": [8]})
    with pytest.raises(InputError, match="is of another recipe") as error:
        train_member(ZOO, other, IMAGES, folder)
    assert str(folder / CHECKPOINT) in str(error.value)


def test_images_that_the_levels_do_not_halve_are_refused_before_training(tmp_path):
    """As 28x28 of MNIST with four levels: 28, 14, 7, and then no more."""
    zoo = ZOO.model_copy(update={"zoo": ZOO.zoo.model_copy(update={"image_size": 28})})
    unet = {**UNET, "block_out_channels": [4] * 4, "down_block_types": ["DownBlock2D"] * 4}
    member = recipe(unet={**unet, "up_block_types": ["UpBlock2D"] * 4})
    with pytest.raises(InputError, match=r"'m' has 4 levels, which halve images 3 times: 28x28 is no multiple of 8"):
        train_member(zoo, member, np.zeros((4, 1, 28, 28), np.float32), tmp_path / "m")
    assert not (tmp_path / "m").exists()
    three = {**UNET, "block_out_channels": [4] * 3, "down_block_types": ["DownBlock2D"] * 3}
    member = recipe(unet={**three, "up_block_types": ["UpBlock2D"] * 3}, steps=1)
    train_member(zoo, member, np.zeros((4, 1, 28, 28), np.float32), tmp_path / "m")
    assert (tmp_path / "m" / WEIGHTS_FILE).exists()


@pytest.mark.parametrize("steps", [3, 60])
def test_a_loss_that_is_no_number_ends_the_training_and_writes_no_member(tmp_path, steps):
    images = np.full_like(IMAGES, np.nan)
    with pytest.raises(InputError, match=r"member 'm': the loss is nan after \d+ steps, nothing is written; lower its"):
        train_member(ZOO, recipe(steps=steps), images, tmp_path / "m")
    assert not (tmp_path / "m" / WEIGHTS_FILE).exists()


def test_the_last_step_tells_the_loss(tmp_path):
    told = []
    train_member(ZOO, recipe(steps=7), IMAGES, tmp_path / "m", progress=lambda *args: told.append(args))
    ((step, steps, loss),) = told
    assert (step, steps) == (7, 7)
    assert 0 < loss < 100


@pytest.mark.parametrize("size", [0, 1000])
def test_a_checkpoint_that_a_machine_that_stopped_emptied_is_told_in_a_line(tmp_path, monkeypatch, size):
    monkeypatch.setattr(module, "CHECKPOINT_EVERY", 1)

    class KilledError(Exception):
        pass

    def kill(unet, folder):
        raise KilledError

    monkeypatch.setattr(module, "write_unet", kill)
    with pytest.raises(KilledError):
        train_member(ZOO, recipe(steps=2), IMAGES, tmp_path / "m")
    path = tmp_path / "m" / CHECKPOINT
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"training\.pt is damaged: remove it to train the member anew") as error:
        train_member(ZOO, recipe(steps=2), IMAGES, tmp_path / "m")
    assert "\n" not in str(error.value)


def test_a_checkpoint_goes_with_the_training(tmp_path):
    """A training that was killed between its weights and the end of its checkpoint."""
    train_member(ZOO, recipe(steps=2), IMAGES, tmp_path / "m")
    (tmp_path / "m" / CHECKPOINT).write_bytes(b"left")
    train_member(ZOO, recipe(steps=2), IMAGES, tmp_path / "m")
    assert not (tmp_path / "m" / CHECKPOINT).exists()


def judged(prediction_type, error=0.0, images=40):
    """The loss of a network that knows the noise but for an error."""
    x_0 = torch.from_numpy(np.random.default_rng(1).uniform(-1, 1, (images, 1, 8, 8)).astype(np.float32))
    noise = DiscreteVP.linear()
    times = np.arange(1, 1001) / 1000
    alphas, sigmas = (torch.as_tensor(weight).float() for weight in (noise.alpha(times), noise.sigma(times)))
    seen = []

    def network(x_t, t):
        seen.append((x_t, t))
        a, s = (weight[t.long()][:, None, None, None] for weight in (alphas, sigmas))
        eps = (x_t - a * x_0) / s + error
        output = training_target(prediction_type, (x_t - s * eps) / a, eps, a, s)
        return SimpleNamespace(sample=output)

    given = {"timesteps": torch.arange(1000).float(), "alphas": alphas, "sigmas": sigmas, "seed": 3, "device": "cpu"}
    return noise_loss(network, x_0, None, prediction_type=prediction_type, **given), seen


@pytest.mark.parametrize("prediction_type", PREDICTIONS)
def test_losses_compare_whatever_a_network_predicts(prediction_type):
    exact, seen = judged(prediction_type)
    wrong, again = judged(prediction_type, error=0.5)
    assert exact < 1e-3 and wrong == pytest.approx(0.25, rel=0.02)
    for (x, t), (y, u) in zip(seen, again, strict=True):  # fixed noise, fixed noise levels
        assert torch.equal(x, y) and torch.equal(t, u)
    eighths = [(t.min() // 125, t.max() // 125) for _, t in seen]
    assert eighths == [(k, k) for k in range(8)]


def test_a_tenth_is_held_out_by_the_seed_of_the_recipe(tmp_path):
    trained, held = split_rows(20, 0.1, 0)
    assert len(held) == 2 and sorted([*trained, *held]) == list(range(20))
    assert held.tolist() != split_rows(20, 0.1, 5)[1].tolist()
    whole = ZOO.model_copy(update={"held_out": 0.1})
    train_member(whole, recipe(steps=3), IMAGES, tmp_path / "a")
    without = ZOO.model_copy(update={"held_out": 0.0})
    train_member(without, recipe(steps=3), IMAGES[trained], tmp_path / "b")
    assert_same(tmp_path / "a", tmp_path / "b")  # no image that is held out was seen
    a, b = HeldOutLoss.read(tmp_path / "a"), HeldOutLoss.read(tmp_path / "b")
    assert (a.images, a.held_out, b.images, b.held_out) == (2, True, 18, False)
    assert a.words() == f"loss {a.loss:.4f} on 2 held-out images"
    other = train_member(whole, recipe(steps=3, seed=9), IMAGES, tmp_path / "c")
    assert HeldOutLoss.read(other).seed == a.seed == 0  # of the recipe, so that members are judged alike
    with pytest.raises(InputError, match=r"1 images, 1 of them held out .* held_out = 0"):
        train_member(whole, recipe(), IMAGES[:1], tmp_path / "d")


def test_the_loss_is_of_the_averaged_weights_that_are_written(tmp_path):
    folder = train_member(ZOO, recipe(steps=4, learning_rate=0.05, ema_decay=0.9), IMAGES, tmp_path / "m")
    timesteps, alphas, sigmas = module._trained(ZOO.noise)
    loss = noise_loss(
        load_unet(folder), torch.from_numpy(IMAGES), None, prediction_type="epsilon", timesteps=timesteps,
        alphas=alphas, sigmas=sigmas, seed=0, device="cpu",
    )  # fmt: skip
    assert HeldOutLoss.read(folder).loss == pytest.approx(loss, rel=1e-6)
