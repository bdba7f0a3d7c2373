"""``omsdpm-bench zoo train`` and ``profile`` on networks of a few hundred weights."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from click.testing import CliRunner

from studies.cli import main

MEMBER = """
[[member]]
name = "{name}"
[member.unet]
block_out_channels = [4]
layers_per_block = 1
down_block_types = ["DownBlock2D"]
up_block_types = ["UpBlock2D"]
norm_num_groups = 2
add_attention = false
"""

RECIPE = (
    """
[zoo]
name = "few"
image_size = 8
channels = {channels}

[training]
steps = 2
batch_size = 4
"""
    + MEMBER.format(name="small")
    + MEMBER.format(name="large")
)


def zoo(*args):
    return CliRunner().invoke(main, ["zoo", *args])


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.toml").write_text(RECIPE.format(channels=1))
    return tmp_path


def test_members_are_trained_once_and_profiled(here):
    first = zoo("train", "recipe.toml", "--output", "zoo", "--member", "large")
    assert first.exit_code == 0, first.output
    assert "members still to train: small" in first.stdout
    assert "member large: zoo/large, loss " in first.stdout and "trained already" not in first.stdout
    assert not (here / "zoo" / "zoo.toml").exists()
    rest = zoo("train", "recipe.toml", "--output", "zoo")
    assert rest.exit_code == 0, rest.output
    assert "member large: zoo/large, was trained already, loss " in rest.stdout
    assert rest.stdout.count(" on 180 held-out images") == 2  # of the 1,797 digits
    assert [member["folder"] for member in tomllib.loads((here / "zoo/zoo.toml").read_text())["member"]] == [
        "small",
        "large",
    ]
    profiled = zoo("profile", "zoo", "--repeats", "1", "--batch-size", "2", "--device", "cpu")
    assert profiled.exit_code == 0, profiled.output
    card = tomllib.loads((here / "zoo/latency.toml").read_text())
    assert len(card["ms"]) == 2 and min(card["ms"]) > 0
    assert card["batch_size"] == 2 and f"{card['ms'][0]:.3f}" in profiled.stdout
    # It is the cure of a table that is broken, or of other members.
    for broken in ("ms = [1.0,", "ms = [1.0]\n", 'ms = "fast"\n'):
        (here / "zoo/latency.toml").write_text(broken)
        again = zoo("profile", "zoo", "--repeats", "1", "--batch-size", "2", "--device", "cpu")
        assert again.exit_code == 0, again.output
        assert len(tomllib.loads((here / "zoo/latency.toml").read_text())["ms"]) == 2


def test_a_users_own_images(here):
    from PIL import Image

    (here / "recipe.toml").write_text(RECIPE.format(channels=3))
    (here / "photos").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (12, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(here / "photos" / f"{number}.png")
    outcome = zoo("train", "recipe.toml", "--output", "zoo", "--images", "photos", "--member", "small")
    assert outcome.exit_code == 0, outcome.output
    assert (here / "zoo/small/diffusion_pytorch_model.safetensors").exists()


def test_the_recipes_noise_is_the_zoos_and_stays_it(here):
    """Finished members are left alone, so a recipe with other noise must not say that they know it."""
    text = RECIPE.format(channels=1)
    (here / "recipe.toml").write_text(text + "[noise]\nbeta_end = 0.3\nsteps = 50\n")
    assert zoo("train", "recipe.toml", "--output", "zoo").exit_code == 0
    assert zoo("train", "recipe.toml", "--output", "zoo").exit_code == 0
    written = (here / "zoo/zoo.toml").read_text()
    noise = tomllib.loads(written)["noise"]
    assert (noise["kind"], noise["beta_start"], noise["beta_end"], noise["steps"]) == ("linear", 1e-4, 0.3, 50)
    predicts = text.replace('name = "large"', 'name = "large"\nprediction_type = "sample"')
    for other in (text, predicts + "[noise]\nbeta_end = 0.3\nsteps = 50\n"):
        (here / "recipe.toml").write_text(other)
        outcome = zoo("train", "recipe.toml", "--output", "zoo")
        assert outcome.exit_code == 2
        assert "zoo has a zoo for other images, noise or predictions than the recipe's" in outcome.stderr
    assert (here / "zoo/zoo.toml").read_text() == written


LABELED = RECIPE + "num_class_embeds = {classes}\n"


def save_images(folder, *names):
    from PIL import Image

    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)


@pytest.mark.parametrize("own", [False, True])
def test_a_class_conditional_zoo_is_trained(here, own):
    """The small member without labels, the large one with the digits' ten or one a folder."""
    import torch

    from omsdpm import ModelZoo

    (here / "recipe.toml").write_text(LABELED.format(channels=1, classes=3 if own else 10))
    save_images(here / "photos", "cat/1.png", "cat/more/2.png", "dog/1.png", "eel/1.png")
    outcome = zoo("train", "recipe.toml", "--output", "zoo", *(["--images", "photos"] if own else []))
    assert outcome.exit_code == 0, outcome.output
    small, large = ModelZoo.load(here / "zoo").members
    assert (small.num_classes, large.num_classes) == (None, 3 if own else 10)
    x = torch.zeros(2, 1, 8, 8)
    with torch.no_grad():
        assert large(x, 500, labels=torch.tensor([0, 2])).isfinite().all()


@pytest.mark.parametrize(
    "images, classes, message",
    [
        (["cat/1.png", "2.png"], 2, "2.png has no class: expected one folder for each class in photos"),
        (["cat/1.png", "dog/1.png", "eel/1.png"], 2, "label 2: the classes are numbered 0..1"),
    ],
)
def test_class_folders_that_do_not_fit(here, images, classes, message):
    (here / "recipe.toml").write_text(LABELED.format(channels=1, classes=classes))
    save_images(here / "photos", *images)
    outcome = zoo("train", "recipe.toml", "--output", "zoo", "--images", "photos")
    assert outcome.exit_code == 2
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("Error: ") and message in line
    assert not (here / "zoo").exists()
    # The member that takes no labels does not mind.
    assert zoo("train", "recipe.toml", "--output", "zoo", "--images", "photos", "--member", "small").exit_code == 0


@pytest.mark.parametrize(
    "channels, args, message",
    [
        (1, ["--member", "smal"], "unknown member of recipe.toml 'smal'; choose one of: small, large"),
        (3, [], "give --images FOLDER"),
        (1, ["--images", "absent"], "image folder absent does not exist"),
    ],
)
def test_bad_input_writes_nothing(here, channels, args, message):
    (here / "recipe.toml").write_text(RECIPE.format(channels=channels))
    outcome = zoo("train", "recipe.toml", "--output", "zoo", *args)
    assert outcome.exit_code == 2
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("Error: ") and message in line
    assert not (here / "zoo").exists()


def test_what_was_just_trained_was_not_trained_already(here):
    first = zoo("train", "recipe.toml", "--output", "zoo")
    assert first.exit_code == 0
    assert first.stdout.count("loss ") == 2 and "already" not in first.stdout and "nan" not in first.stdout
    assert zoo("train", "recipe.toml", "--output", "zoo").stdout.count("was trained already") == 2
