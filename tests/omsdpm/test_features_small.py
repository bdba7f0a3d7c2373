"""Feature networks that users train: any folder of images, called after the content of their weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file, save_file

from omsdpm import InputError
from omsdpm.images import read_images
from omsdpm.scoring.features import features_digest, make_features, train_small_network
from omsdpm.scoring.features.classifier import Architecture, new_network
from omsdpm.scoring.features.digits import DIGIT_WEIGHTS
from omsdpm.scoring.features.small import SmallNetwork, small_name
from omsdpm.scoring.metrics import make_metric, score_name
from omsdpm.scoring.metrics.opening import metric_identity
from studies.cli import main


def picture(kind, rng, size=12):
    """A color gradient across, down, or both ways, and noise."""
    ramp = np.linspace(0, 1, size)
    across, down = np.broadcast_to(ramp, (size, size)), np.broadcast_to(ramp[:, None], (size, size))
    base = {"across": across, "down": down, "both": across * down}[kind]
    color = np.stack([base, 1 - base, np.full_like(base, 0.5)], axis=-1)
    return (255 * np.clip(color + 0.15 * rng.standard_normal(color.shape), 0, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for kind in ("across", "both", "down"):
        (root / kind).mkdir()
        for i in range(24):
            Image.fromarray(picture(kind, rng)).save(root / kind / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    output, told = tmp_path_factory.mktemp("weights") / "w.safetensors", []
    state = torch.get_rng_state()
    card = train_small_network(folder, output, epochs=12, progress=lambda *call: told.append(call))
    assert torch.equal(torch.get_rng_state(), state)
    assert [call[:2] for call in told] == [(epoch, 12) for epoch in range(1, 13)] and told[-1][2] < told[0][2]
    return output, card


def test_it_tells_the_classes_apart_and_says_what_it_was_trained_on(folder, trained):
    output, card = trained
    assert card == json.loads(output.with_suffix(".json").read_text())
    assert (card["shape"], card["classes"], card["images"], card["held_out_images"]) == ([3, 12, 12], 3, 72, 18)
    assert card["held_out_accuracy"] > 0.8
    network = SmallNetwork(output)
    x = read_images(sorted((folder / "down").glob("*.png")), 12, 3)
    assert (network.probabilities(x).argmax(axis=1) == 2).mean() > 0.8
    assert network(x).shape == (24, 64) and np.isfinite(network(x)).all()
    with pytest.raises(InputError, match=r"images are \(2, 1, 8, 8\) .*expected \(n, 3, 12, 12\)"):
        network(np.zeros((2, 1, 8, 8), np.float32))


def test_it_is_called_after_its_content(folder, trained, tmp_path):
    output, card = trained
    assert card["name"] == small_name(output) and card["name"].startswith("small-")
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(output.read_bytes())
    text = f"fd[features=small[name={card['name']},weights={moved}]]"
    assert score_name(text) == f'fd[features="small[name={card["name"]}]"]'
    assert features_digest(f"small[weights={output}]") == features_digest(f"small[weights={moved}]")
    assert str(tmp_path) not in str(metric_identity(text))
    metric = make_metric(text, shape=(3, 12, 12), reference=str(folder))
    metric.update(torch.from_numpy(read_images(sorted((folder / "down").glob("*.png")), 12, 3)), 0)
    real = make_metric(text, shape=(3, 12, 12), reference=str(folder))
    for kind in ("across", "both", "down"):
        real.update(torch.from_numpy(read_images(sorted((folder / kind).glob("*.png")), 12, 3)), 0)
    assert real.value() < 1e-6 < metric.value()
    with pytest.raises(InputError, match=f"feature network 'small-00000000': .* are the weights of {card['name']}"):
        make_features(f"small[name=small-00000000,weights={moved}]")


def test_training_again_gives_the_same_network(folder, trained, tmp_path):
    first = train_small_network(folder, tmp_path / "a.safetensors", epochs=2, size=8, channels=1, seed=5)
    second = train_small_network(folder, tmp_path / "b.safetensors", epochs=2, size=8, channels=1, seed=5)
    other = train_small_network(folder, tmp_path / "c.safetensors", epochs=2, size=8, channels=1, seed=6)
    assert first["name"] == second["name"] != other["name"] and first["shape"] == [1, 8, 8]
    assert load_file(tmp_path / "a.safetensors").keys() == load_file(DIGIT_WEIGHTS).keys()  # the digits' is one of them


@pytest.mark.parametrize("size", [4, 7, 8, 28, 32, 65])
def test_any_size_has_a_network(size):
    body, head = new_network(Architecture(3, size, 5))
    features = body(torch.zeros(2, 3, size, size))
    assert features.shape == (2, 64) and head(features).shape == (2, 5)


def one_class(root):
    (root / "a").mkdir(parents=True)
    for i in range(5):
        Image.fromarray(np.full((8, 8), 9 * i, np.uint8)).save(root / "a" / f"{i}.png")


def no_class(root):
    root.mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(root / "0.png")


def few(root):
    one_class(root)
    (root / "b").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(root / "b" / "0.png")


def oblong(root):
    for name in "ab":
        (root / name).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(np.full((8, 9), 9 * i, np.uint8)).save(root / name / f"{i}.png")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (one_class, "are of 1 class: expected a folder for each class, two at least"),
        (no_class, "has no class: expected one folder for each class"),
        (few, r"class 1 of .* has 1 image\(s\): expected 4 or more"),
        (oblong, "is of 9x8: give --size"),
    ],
)
def test_folders_that_teach_nothing(tmp_path, make, message):
    make(tmp_path / "images")
    with pytest.raises(InputError, match=message) as error:
        train_small_network(tmp_path / "images", tmp_path / "w.safetensors")
    assert "\n" not in str(error.value) and not (tmp_path / "w.safetensors").exists()


def test_weights_of_something_else(trained, tmp_path):
    with pytest.raises(InputError, match="are no weights of a small network: give what"):
        make_features(f"small[weights={DIGIT_WEIGHTS}]")
    claimed = json.dumps({"format": 1, "channels": 1, "size": 8, "classes": 2})
    save_file({"weight": torch.zeros(3)}, tmp_path / "w.safetensors", {"small": claimed})
    with pytest.raises(InputError, match="holds the weights of another network"):
        make_features(f"small[weights={tmp_path / 'w.safetensors'}]")
    with pytest.raises(InputError, match="cannot read weights of a small network"):
        make_features(f"small[weights={tmp_path / 'absent'}]")


def test_the_command(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = CliRunner().invoke(
        main, ["features", "train", str(folder), "-o", "w.safetensors", "--epochs", "1", "--device", "cpu"]
    )
    assert outcome.exit_code == 0, outcome.output
    text = outcome.stdout.split("metric: ")[1].strip()
    assert text == f"fd[features=small[name={small_name('w.safetensors')},weights=w.safetensors]]"
    assert make_metric(text, shape=(3, 12, 12), reference=str(folder)).reference.dim == 64
    outcome = CliRunner().invoke(main, ["features", "train", str(folder / "down"), "-o", "w.safetensors"])
    assert outcome.exit_code == 2 and "has no class" in outcome.stderr
