"""``omsdpm-bench sample``: a released zoo and schedule to images and a score."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from omsdpm import DDIMSpace, DPMSolverSpace, ModelZoo
from omsdpm.fid import Statistics
from omsdpm.released import import_zoo, load_zoo, write_population, write_schedule
from omsdpm.sampling import sample
from omsdpm.scoring.features import make_features
from omsdpm.scoring.reference import digits_statistics
from studies.cli import main

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
RELEASED = GOLDEN / "released_zoo"
X = [2, 1, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0]
SPACE = DPMSolverSpace(2, 4)


def run(*args):
    return CliRunner().invoke(main, ["sample", "--device", "cpu", *map(str, args)])


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a schedule for the released zoo of two members, one of three for the tiny zoo."""
    monkeypatch.chdir(tmp_path)
    write_schedule("searched.pth", X, SPACE)
    write_schedule("tiny.pth", [0, 3, 0, 2, 0, 0, 1, 3], DDIMSpace(3, 8))
    return tmp_path


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    """Random weights of Inception's shapes."""
    pytest.importorskip("pytorch_fid.inception")
    from omsdpm.scoring.features.inception import new_inception

    network = new_inception()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.normal_(0, (2 / parameter[0].numel()) ** 0.5, generator=generator)
    path = tmp_path_factory.mktemp("inception") / "inception.pth"
    torch.save(network.state_dict(), path)
    return path


def pixels(folder):
    return {path.name: np.asarray(Image.open(path)) for path in sorted(Path(folder).glob("*.png"))}


def test_the_releases_workflow_gives_fid_without_images(here, inception):
    """Sampling with a searched schedule: batches of two, the score that all at once have."""
    Statistics(np.zeros(2048), np.eye(2048)).write("stats.npz")
    outcome = run(
        "--zoo", RELEASED, "--schedule", "searched.pth", "-n", 3, "--batch-size", 2, "--solver", "dpm-solver",
        "--metric", f"fid[weights={inception}]", "--stats", "stats.npz", "--output", "score.json",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((here / "score.json").read_text())
    zoo = load_zoo(RELEASED)
    x_0 = sample(zoo.denoisers, X, zoo.starting_noise(3, 0), space=SPACE, noise=SPACE.solver_noise(zoo.noise))
    features = make_features(f"inception[weights={inception}]")(x_0)
    expected = Statistics.read("stats.npz").distance(Statistics.of(features))
    assert result["score"] == pytest.approx(expected, rel=1e-4)
    assert (result["images"], result["nfe"], result["solver"]) == (3, 4, "dpm-solver")
    assert result["metric"] == f"fid[weights={inception}]"
    assert result["schedule"] == X and result["latency_ms"] == pytest.approx(2 * 81.5 + 2 * 140.25)
    assert f"]: {result['score']:.6g} (3 images, 4 evaluations)" in outcome.stdout
    assert "Sampling 3 images" in outcome.stderr
    assert not list(here.rglob("*.png"))


def test_images_are_written_when_asked_and_both_layouts_give_the_same(here):
    import_zoo(RELEASED, here / "ours")
    for zoo, folder in ((RELEASED, "released"), ("ours", "imported")):
        outcome = run(
            "--zoo", zoo, "--schedule", "searched.pth", "--solver", "dpm-solver", "-n", 3, "--batch-size", 2,
            "--images", folder,
        )  # fmt: skip
        assert outcome.exit_code == 0, outcome.output
    released, imported = pixels("released"), pixels("imported")
    assert list(released) == ["000000.png", "000001.png", "000002.png"]
    for name, image in released.items():
        assert image.shape == (16, 16, 3)
        assert np.abs(image.astype(int) - imported[name].astype(int)).max() <= 1


def test_images_do_not_depend_on_batches_but_on_seed_and_noise(here, tiny_zoo):
    start = ModelZoo.load(tiny_zoo).starting_noise(3, seed=4)
    np.save("noise.npy", start.numpy())
    torch.save(start, "noise.pth")
    common = ["--zoo", tiny_zoo, "--schedule", "tiny.pth", "-n", 3]
    for folder, more in {
        "a": ["--seed", 4],
        "b": ["--seed", 4, "--batch-size", 1],
        "c": ["--noise", "noise.npy", "--batch-size", 2],
        "d": ["--noise", "noise.pth"],
        "e": ["--seed", 5],
        "f": ["--seed", 4, "--eta", 1, "--batch-size", 2],
    }.items():
        outcome = run(*common, *more, "--images", folder)
        assert outcome.exit_code == 0, outcome.output
    first = np.stack(list(pixels("a").values())).astype(int)
    for folder in "bcd":
        assert np.abs(np.stack(list(pixels(folder).values())) - first).max() <= 1
    for folder in "ef":
        assert np.abs(np.stack(list(pixels(folder).values())) - first).max() > 10


def test_digits_are_the_reference_of_fd_digits_unless_statistics_are_given(here, tiny_zoo):
    network = make_features("digits")
    digits_statistics(network).write("digits.npz")
    scores = []
    for more in ([], ["--stats", "digits.npz"]):
        outcome = run(
            "--zoo", tiny_zoo, "--schedule", "tiny.pth", "-n", 40, "--metric", "fd-digits", "--output", "s.json", *more
        )
        assert outcome.exit_code == 0, outcome.output
        scores.append(json.loads((here / "s.json").read_text())["score"])
    assert scores[0] == pytest.approx(scores[1])
    assert "solver: ddim, by the schedule's slots" in outcome.stdout


def test_a_folder_of_real_images_is_a_reference(here, tiny_zoo):
    assert run("--zoo", tiny_zoo, "--schedule", "tiny.pth", "-n", 20, "--seed", 1, "--images", "real").exit_code == 0
    outcome = run(
        "--zoo", tiny_zoo, "--schedule", "tiny.pth", "-n", 20, "--seed", 1, "--metric", "fd-digits", "--stats", "real",
        "--output", "s.json",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    assert json.loads((here / "s.json").read_text())["score"] == pytest.approx(0, abs=0.05)  # PNG rounds


def test_one_of_a_population(here, tiny_zoo):
    write_population("several.pth", [[1, 0, 0], [0, 0, 2]])
    arguments = ["--zoo", tiny_zoo, "--schedule", "several.pth", "-n", 2, "--images", "out"]
    assert run(*arguments, "--row", 1).exit_code == 0
    for more, expected in (([], "holds 2 schedules: choose one with --row"), (["--row", 2], "--row 2")):
        outcome = run(*arguments, *more)
        assert outcome.exit_code == 2 and expected in outcome.stderr


def test_labels_are_for_members_that_take_them(here, tiny_zoo):
    from diffusers import UNet2DModel

    from omsdpm.networks.unet2d import write_unet
    from omsdpm.zoo import ZooFile

    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(4,), layers_per_block=1,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), norm_num_groups=4, add_attention=False,
        num_class_embeds=10,
    )  # fmt: skip
    write_unet(unet, here / "labeled" / "1")
    images = {"name": "labeled", "image_size": 8, "channels": 1}
    ZooFile(zoo=images, noise={}, member=({"folder": "1"},)).write(here / "labeled")
    write_schedule("one.pth", [1, 0, 1])
    arguments = ["--zoo", "labeled", "--schedule", "one.pth", "-n", 3, "--images"]
    assert run(*arguments, "seven", "--label", 7).exit_code == 0
    assert run(*arguments, "drawn", "--label", "random").exit_code == 0
    for zoo, more, expected in [
        ("labeled", [], "takes labels: give a class, 0..9"),
        ("labeled", ["--label", 10], "label 10: the classes are numbered 0..9"),
        ("labeled", ["--label", "cat"], "label 'cat': give a class"),
        (tiny_zoo, ["--label", 1], "takes labels"),
    ]:
        outcome = run("--zoo", zoo, "--schedule", "one.pth", "-n", 3, "--images", "out", *more)
        assert outcome.exit_code == 2, outcome.output
        assert expected in outcome.stderr and len(outcome.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "more, expected",
    [
        ([], "nothing to do with the images: give --fid or --metric"),
        (["--fid"], "metric 'fid' needs real images to compare with: give --stats"),
        (["--fid", "--metric", "fd-digits"], "--fid and --metric fd-digits: give one"),
        (["--stats", "x.npz", "--images", "out"], "--stats without a score"),
        (["--output", "s.json", "--images", "out"], "--output s.json is for the score"),
        (["--fid", "--metric", "fid[weights=absent.pth]", "--stats", "absent.npz"], "absent.pth do not exist"),
        (["--metric", "fd-digits", "--stats", "absent.npz"], "cannot read statistics absent.npz"),
        (["--metric", "fd-digits", "--noise", "absent.pth"], "cannot read absent.pth"),
        (["--metric", "fd-digits", "--solver", "dpm-solver"], "length 8 for dpm-solver: expected a multiple of 3"),
        (["--metric", "fd-digits", "--eta", 1, "--solver", "dpm-solver++"], "eta=1.0: only DDIM takes it"),
        (["--images", "out", "--eta", 1, "--solver", "dpm-solver++"], "eta=1.0: only DDIM takes it"),
        (["--images", "out", "--noise", GOLDEN / "zoo_latency.pth"], "expected a tensor (N, C, H, W)"),
        (["--metric", "fd-digits", "-n", 1], "1 images: a score needs at least 2"),
        (["--metric", "fd-digits", "--zoo", "."], ". is no zoo: expected a folder with zoo.toml"),
    ],
)
def test_bad_input_is_one_line(here, tiny_zoo, more, expected):
    outcome = run("--zoo", tiny_zoo, "--schedule", "tiny.pth", "-n", 2, *more)
    assert outcome.exit_code == 2, outcome.output
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("Error: ") and expected in line
    assert sorted(path.name for path in here.iterdir()) == ["searched.pth", "tiny.pth"]


def test_images_are_not_mixed_with_older_ones(here, tiny_zoo):
    arguments = ["--zoo", tiny_zoo, "--schedule", "tiny.pth", "--images", "out", "-n"]
    assert run(*arguments, 5).exit_code == 0
    before = {path: path.read_bytes() for path in (here / "out").iterdir()}
    outcome = run(*arguments, 2)
    assert outcome.exit_code == 2
    assert "--images out holds 5 images already: name a folder without any" in outcome.stderr
    assert {path: path.read_bytes() for path in (here / "out").iterdir()} == before
    (here / "out" / "000003.png").unlink()  # as after a kill
    (here / "out" / "000004.png").write_bytes(b"")
    assert run(*arguments, 5).exit_code == 0
    assert {path: path.read_bytes() for path in (here / "out").iterdir()} == before
    (here / "out" / "mine.jpg").write_bytes(b"a picture")
    outcome = run(*arguments, 5)
    assert outcome.exit_code == 2 and "--images out holds 1 images already" in outcome.stderr
