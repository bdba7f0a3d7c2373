"""Training of members: every prediction type, killed and resumed, refused."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from omsdpm import InputError
from omsdpm.networks.unet2d import WEIGHTS_FILE, UNet2D, load_unet
from omsdpm.noise import DiscreteVP
from omsdpm.zoo import Member
from omsdpm.zoo import train as module
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
ZOO = ZooRecipe(zoo={"name": "few", "image_size": 8, "channels": 1}, members=({"name": "m", "unet": UNET},))
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


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
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


def test_progress_is_told_the_running_loss(tmp_path):
    told = []
    train_member(ZOO, recipe(steps=52), IMAGES, tmp_path / "m", progress=lambda *args: told.append(args))
    ((step, steps, loss),) = told
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
