"""What is needed at the end is known at the start: nothing is sampled, fitted or trained for a place that is none."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from omsdpm import DDIMSpace, InputError
from omsdpm.files import check_creatable
from omsdpm.released import write_population
from studies.cli import main

GOLDEN = Path(__file__).parents[1] / "data" / "golden"

RECIPE = """
name = "few"
summary = "a few"
budgets = [8]
[measurement]
zoo = {zoo}
solver = "ddim"
length = 5
images = 8
seed = 1
[validation]
images = 8
seeds = [{seed}]
[[round]]
name = "first"
design = "random"
n = 12
split = "train"
"""


@pytest.fixture
def here(tmp_path, monkeypatch, tiny_zoo):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("no folder")
    shutil.copytree(tiny_zoo, tmp_path / "zoo")
    write_population(tmp_path / "p.pth", [[0, 3, 0, 2, 1]], DDIMSpace(3, 5))
    return tmp_path


@pytest.fixture(autouse=True)
def _no_work(monkeypatch):
    """Members are not called, predictors not fitted, networks not trained."""

    def work(*args, **kwargs):
        raise AssertionError("the work was begun")

    monkeypatch.setattr("omsdpm.zoo.member.Member.__call__", work)
    monkeypatch.setattr("omsdpm.zoo.train.train_member", work)
    monkeypatch.setattr("predictors.base.Predictor.fit", work)
    monkeypatch.setattr("omsdpm.scoring.features.training._train", work)
    monkeypatch.setattr("omsdpm.released.zoo.load_zoo", work)
    monkeypatch.setattr("studies.jobs.dataset_import.job.sift_dataset", work)
    monkeypatch.setattr("benchmarks.landscape.write_landscape", work)


PLACE = "file/below/x"

COMMANDS = [
    ["run", "--benchmark", "digits-tab", "--predictor", "ridge", "--output", PLACE],
    ["run", "--benchmark", "digits-tab", "--predictor", "ridge", "--leaderboard", PLACE],
    ["search", "--zoo", "zoo", "--length", "5", "--budget", "8", "--output", PLACE],
    ["study", "--predictor", "ridge", "--output", PLACE],
    ["sample", "--zoo", "zoo", "--schedule", "p.pth", "-n", "4", "--images", PLACE],
    ["sample", "--zoo", "zoo", "--schedule", "p.pth", "-n", "4", "--metric", "fd-digits", "--output", PLACE],
    ["validate", "--population", "p.pth", "--zoo", "zoo", "--output", PLACE],
    ["dataset", "import", GOLDEN / "dataset_ddim.pth", "--solver", "ddim", "--output", PLACE],
    ["dataset", "designs", "--predictor", "ridge", "--output", PLACE],
    ["predictor", "fit", "--dataset", GOLDEN / "dataset_ddim.pth", "--output", PLACE],
    ["predictor", "compare", "--benchmark", "digits-tab", "--output", PLACE],
    ["predictor", "fresh", "--output", PLACE],
    ["zoo", "train-features", "--output", PLACE],
    ["features", "train", "absent", "--output", PLACE],
    ["zoo", "import", GOLDEN / "released_zoo", "--output", PLACE],
    ["info", "digits-tab", "--output", PLACE],
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: f"{words[0]} {words[1]}")
def test_a_place_that_cannot_be_written_is_told_before_the_work(here, words):
    outcome = CliRunner().invoke(main, list(map(str, words)))
    assert outcome.exit_code == 2, outcome.output
    line = outcome.stderr.strip().splitlines()[-1]
    assert line.startswith("Error: ") and "file" in line
    assert (here / "file").read_text() == "no folder"


def test_a_zoo_that_cannot_be_written_is_not_timed(here, monkeypatch):
    (here / "zoo" / "latency.toml").unlink()
    (here / "zoo" / "latency.toml").mkdir()
    outcome = CliRunner().invoke(main, ["zoo", "profile", "zoo", "--device", "cpu"])
    assert outcome.exit_code == 2 and "latency.toml" in outcome.stderr.strip().splitlines()[-1]


def test_a_benchmark_that_cannot_be_validated_is_told_before_it_is_measured(here):
    (here / "few").mkdir()
    (here / "few" / "benchmark.toml").write_text(RECIPE.format(zoo=json.dumps(str(here / "zoo")), seed=1))
    outcome = CliRunner().invoke(main, ["dataset", "build", "few", "--jobs", "1", "--device", "cpu"])
    assert outcome.exit_code == 2
    assert "validation seed 1 is the dataset's noise: use another" in outcome.stderr.strip().splitlines()[-1]
    assert [path.name for path in (here / "few").iterdir()] == ["benchmark.toml"]


def test_a_folder_that_can_be_made_is_not_made_yet(here):
    check_creatable("new/below")
    assert not (here / "new").exists()
    with pytest.raises(InputError, match=r"cannot write to folder file/x: .*file is a file; name another one"):
        check_creatable("file/x")
