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
    assert not (here / "zoo" / "zoo.toml").exists()
    rest = zoo("train", "recipe.toml", "--output", "zoo")
    assert rest.exit_code == 0, rest.output
    assert "member large: zoo/large, was trained already" in rest.stdout
    assert [member["folder"] for member in tomllib.loads((here / "zoo/zoo.toml").read_text())["member"]] == [
        "small",
        "large",
    ]
    profiled = zoo("profile", "zoo", "--repeats", "1", "--batch-size", "2", "--device", "cpu")
    assert profiled.exit_code == 0, profiled.output
    card = tomllib.loads((here / "zoo/latency.toml").read_text())
    assert len(card["ms"]) == 2 and min(card["ms"]) > 0
    assert card["batch_size"] == 2 and f"{card['ms'][0]:.3f}" in profiled.stdout


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
