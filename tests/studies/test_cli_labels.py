"""A class-conditional zoo, built, searched and validated by the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from benchmarks import Benchmark
from omsdpm import DDIMSpace, ModelZoo
from omsdpm.fid import Statistics
from omsdpm.guidance import conditioned
from omsdpm.released import write_population
from omsdpm.sampling import sample
from omsdpm.scoring.features import make_features
from omsdpm.scoring.reference import digits_statistics
from studies.cli import main

FILE = """
name = "labeled"
summary = "Two members that take labels."
budgets = [8, 14]
strategies = []

[measurement]
zoo = "zoo"
solver = "ddim"
length = 5
images = 8
seed = 3
labels = [7, 0, 2]

[validation]
images = 10
seeds = [21, 22]

[[round]]
name = "drawn"
design = "random"
n = 30
null = 0.5
split = "train"

[[round]]
name = "held-out"
design = "random"
n = 8
null = 0.5
split = "test"
"""


def run(*args):
    return CliRunner().invoke(main, list(map(str, args)))


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    from diffusers import UNet2DModel

    from omsdpm.networks.unet2d import write_unet
    from omsdpm.zoo import ZooFile
    from omsdpm.zoo.files import write_latency_card

    folder = tmp_path_factory.mktemp("labeled")
    zoo = folder / "zoo"
    for k in (1, 2):
        torch.manual_seed(k)
        unet = UNet2DModel(
            sample_size=8, in_channels=1, out_channels=1, block_out_channels=(4 * k,), layers_per_block=1,
            down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), norm_num_groups=2, add_attention=False,
            num_class_embeds=10,
        )  # fmt: skip
        write_unet(unet, zoo / str(k))
    images = {"name": "labeled", "image_size": 8, "channels": 1}
    members = tuple({"folder": str(k), "prediction_type": "sample"} for k in (1, 2))
    ZooFile(zoo=images, noise={}, member=members).write(zoo)
    write_latency_card(zoo, {"ms": [2.0, 4.0], "batch_size": 8, "device": "test", "date": "2026-01-01"})
    (folder / "benchmark.toml").write_text(FILE)
    outcome = run("dataset", "build", folder, "--jobs", 1, "--device", "cpu")
    assert outcome.exit_code == 0, outcome.output
    return folder


def by_hand(folder, x, images, seed, labels=(7, 0, 2)):
    zoo = ModelZoo.load(folder / "zoo")
    given = np.array([labels[i % len(labels)] for i in range(images)])
    members = conditioned(zoo.denoisers, given)
    x_0 = sample(members, x, zoo.starting_noise(images, seed), space=DDIMSpace(2, 5), noise=zoo.noise)
    network = make_features("digits")
    return digits_statistics(network).distance(Statistics.of(network(x_0)))


def test_the_dataset_is_of_images_with_their_labels(built):
    benchmark = Benchmark.read(built)
    assert benchmark.measurement.labels == (7, 0, 2)
    for row in (0, 5, 33):
        x, y = benchmark.dataset.X[row], benchmark.dataset.y[row]
        assert y == pytest.approx(by_hand(built, x, 8, 3), rel=1e-4)
        assert y != pytest.approx(by_hand(built, x, 8, 3, labels=(7, 0, 3)), rel=1e-3)
    best = benchmark.baselines[0]
    assert best.scores[1] == pytest.approx(by_hand(built, best.schedule, 10, 22), rel=1e-4)
    assert "7, 0, 2, in turn" in (built / "CARD.md").read_text()
    assert json.loads((built / "measured.json").read_text())["baselines"]["labels"] == "[7, 0, 2]"


def test_it_is_searched_and_validated(built, tmp_path):
    outcome = run(
        "run", "--benchmark", built, "--optimizer", "random", "--predictor", "ridge", "--evaluations", 60,
        "--seeds", 2, "--device", "cpu", "--output", tmp_path / "out", "--leaderboard", tmp_path / "board.csv",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    for winner in result["winners"]:
        expected = [by_hand(built, winner["schedule"], 10, seed) for seed in (3001, 3002)]
        assert winner["measured"]["scores"] == pytest.approx(expected, rel=1e-4)
    X = [winner["schedule"] for winner in result["winners"]]
    write_population(tmp_path / "p.pth", X)
    validate = ["validate", "--population", tmp_path / "p.pth", "--benchmark", built, "--device", "cpu"]
    validate += ["--num-images", 9, "--batch-size", 4, "--final-images", 0, "--output", tmp_path / "v.json"]
    outcome = run(*validate)
    assert outcome.exit_code == 0, outcome.output
    scored = json.loads((tmp_path / "v.json").read_text())["schedules"]
    assert [one["score"] for one in scored] == pytest.approx([by_hand(built, x, 9, 1001) for x in X], rel=1e-4)
    outcome = run(*validate, "--label", 3)
    assert outcome.exit_code == 2 and "--label 3: benchmark labeled says that itself; leave it out" in outcome.stderr


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("", "zoo 'labeled' takes labels: give a class, 0..9, or 'random'"),
        ("labels = [7, 10]", "label 10: the classes are numbered 0..9"),
        ('labels = "cat"', "labels = 'cat', expected a whole number or 'random' or a list"),
        ("labels = []", "labels = [], expected a whole number or 'random'"),
        ("labels = [0.5]", "labels = [0.5], expected a whole number or 'random'"),
        ("labels = true", "labels = True, expected a whole number or 'random' or a list"),
        ("labels = 3", ""),
    ],
)
def test_labels_that_cannot_be_used_are_one_line_before_anything_is_written(built, tmp_path, labels, message):
    text = FILE.replace("labels = [7, 0, 2]", labels).replace('"zoo"', json.dumps(str(built / "zoo")))
    (tmp_path / "benchmark.toml").write_text(text)
    outcome = run("dataset", "build", tmp_path, "--jobs", 1, "--device", "cpu")
    if not message:
        assert outcome.exit_code == 0, outcome.output
        return
    assert outcome.exit_code == 2
    assert message in outcome.stderr.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["benchmark.toml"]


def test_other_labels_are_another_measurement(built):
    text = (built / "benchmark.toml").read_text()
    try:
        (built / "benchmark.toml").write_text(text.replace("labels = [7, 0, 2]", "labels = [7, 0, 3]"))
        outcome = run("dataset", "build", built, "--jobs", 1, "--device", "cpu")
        assert outcome.exit_code == 2 and "was measured with other labels: build in a new folder" in outcome.stderr
    finally:
        (built / "benchmark.toml").write_text(text)
