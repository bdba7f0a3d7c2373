"""The main job on a tiny benchmark, and its bad input."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from studies.cli import main
from studies.jobs.run.winners import validation_plan

FAST = ["--benchmark", "tiny", "--optimizer", "random", "--predictor", "gbdt", "--evaluations", "300"]


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["run", *args])


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass(frozen=True)
class Finished:
    """A finished run, shared by the tests that only look at it."""

    folder: Path
    result: dict[str, Any]
    output: str
    validated: list[tuple[int, int, tuple[int, ...]]]

    @property
    def leaderboard(self) -> Path:
        return self.folder.parent / "leaderboard.csv"


@pytest.fixture(scope="module")
def finished(_tiny_made, make_plugins, tmp_path_factory):
    here = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        plugins = make_plugins(tmp_path_factory.mktemp("plugins"), patch)
        plugins.add("omsdpm.benchmarks", tiny=lambda: _tiny_made)
        _tiny_made.validated.clear()
        outcome = run(*FAST, "--output", "out", "--seeds", "2")
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((here / "out" / "result.json").read_text())
    return Finished(here / "out", result, outcome.stdout, list(_tiny_made.validated))


def test_run_writes_everything(finished, _tiny_made):
    tiny, result = _tiny_made, finished.result
    assert {path.name for path in finished.folder.iterdir()} == {
        "result.json", "pareto.csv", "winners.csv", "plot.png", "samples-4.png", "samples-8.png", "samples-16.png",
        "population-4.pth", "population-8.pth", "population-16.pth",
    }  # fmt: skip
    assert [winner["budget_ms"] for winner in result["winners"]] == [4, 8, 16]
    for winner in result["winners"]:
        schedule = np.array([winner["schedule"]])
        assert tiny.space.latency(schedule, tiny.latency) == pytest.approx([winner["latency_frozen_ms"]])
        assert winner["latency_frozen_ms"] <= winner["budget_ms"]
        assert winner["mean"] == pytest.approx(np.mean(winner["scores"]))
        assert winner["std"] == pytest.approx(np.std(winner["scores"], ddof=1))
        best = min(baseline["mean"] for baseline in winner["baselines"].values())
        assert winner["gain_percent"] == pytest.approx(100 * (best - winner["mean"]) / best)
    assert result["predictor"]["ranking"]["test"]["kendall_tau"] > 0.3
    assert set(result["predictor"]["ranking"]) == {"test", "elite"}
    assert result["benchmark"]["data_hash"] == tiny.data_hash
    assert result["environment"]["versions"]["numpy"] == np.__version__
    assert "fd-pixels" in finished.output and "Run folder: out" in finished.output


def test_scores_are_those_of_the_sampled_schedules(finished, _tiny_made):
    for winner in finished.result["winners"]:
        expected = [_tiny_made._scores(np.array([winner["schedule"]]), 96, seed)[0][0] for seed in (100, 101)]
        assert winner["scores"] == pytest.approx(expected, rel=1e-5)


def test_winners_are_listed_with_their_baselines(finished):
    for row, winner in zip(rows(finished.folder / "winners.csv"), finished.result["winners"], strict=True):
        assert float(row["fd-pixels_mean"]) == pytest.approx(winner["mean"])
        assert float(row["single_fd-pixels_mean"]) == pytest.approx(winner["baselines"]["single"]["mean"])
        assert row["stitch_baseline"] == winner["baselines"]["stitch"]["name"]


def test_leaderboard_has_a_row_per_budget_and_seed(finished):
    written = rows(finished.leaderboard)
    assert len(written) == 3 * 2
    for row in written:
        winner = next(w for w in finished.result["winners"] if w["budget_ms"] == float(row["budget_ms"]))
        seed = finished.result["validation"]["seeds"].index(int(row["validation_seed"]))
        assert float(row["score"]) == pytest.approx(winner["scores"][seed])
        assert [int(member) for member in row["schedule"].split()] == winner["schedule"]
        assert row["metric"] == "fd-pixels" and row["images"] == "96"


def test_the_recorded_command_repeats_the_run(finished, tiny, here):
    words = shlex.split(finished.result["command"])
    assert words[:2] == ["omsdpm-bench", "run"]
    assert run(*words[2:], "--output", "again").exit_code == 0
    again = json.loads((here / "again" / "result.json").read_text())
    assert again["winners"] == finished.result["winners"]
    assert (finished.folder / "pareto.csv").read_bytes() == (here / "again" / "pareto.csv").read_bytes()


def test_runs_add_to_one_leaderboard(finished, tiny, here):
    (here / "leaderboard.csv").write_bytes(finished.leaderboard.read_bytes())
    assert run(*FAST, "--output", "out", "--seeds", "1").exit_code == 0
    written = rows(here / "leaderboard.csv")
    assert written[:6] == rows(finished.leaderboard)
    assert len(written) == 6 + 3


def test_pareto_front_is_nondominated(finished):
    front = rows(finished.folder / "pareto.csv")
    latency = [float(row["latency_frozen_ms"]) for row in front]
    scores = [float(row["predicted_score"]) for row in front]
    assert len(front) > 1
    assert (np.diff(latency) > 0).all() and (np.diff(scores) < 0).all()


@pytest.mark.parametrize("name", ["samples-8.png", "plot.png"])
def test_pictures_can_be_read(finished, name):
    from PIL import Image

    with Image.open(finished.folder / name) as image:
        assert min(image.size) > 400
        assert len(np.unique(np.asarray(image.convert("L")))) > 10


def test_stored_baselines_are_used_with_their_seeds(finished, _tiny_made):
    tiny, result = _tiny_made, finished.result
    assert result["validation"] == {"validated": True, "images": 96, "seeds": [100, 101], "baselines_again": False}
    ((schedules, _, seeds),) = finished.validated
    assert schedules <= 3 and seeds == (100, 101)  # the winners only
    names = {baseline.name: baseline for baseline in tiny.baselines}
    for winner in result["winners"]:
        for kind, shown in winner["baselines"].items():
            assert shown["scores"] == pytest.approx(names[shown["name"]].scores[:2])
            fitting = [b.mean for b in tiny.baselines if b.kind == kind and b.latency <= winner["budget_ms"]]
            assert names[shown["name"]].mean == min(fitting)


@pytest.mark.parametrize("options", [("--validate-images", "32"), ("--seeds", "4")])
def test_baselines_are_sampled_again_where_stored_scores_do_not_compare(tiny, here, options):
    outcome = run(*FAST, "--output", "out", *options)
    assert outcome.exit_code == 0, outcome.output
    assert "sampled again" in " ".join(outcome.stdout.split())
    result = json.loads((here / "out" / "result.json").read_text())
    images, seeds = result["validation"]["images"], result["validation"]["seeds"]
    assert len(set(seeds)) == len(seeds)
    for winner in result["winners"]:
        for shown in winner["baselines"].values():
            expected = [tiny._scores(np.array([shown["schedule"]]), images, seed)[0][0] for seed in seeds]
            assert shown["scores"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "seeds, dataset_seed, expected",
    [
        (2, 0, (100, 101)),
        (3, 0, (100, 101, 102)),
        (5, 0, (100, 101, 102, 103, 104)),
        (5, 103, (100, 101, 102, 104, 105)),
    ],
)
def test_validation_noise_is_never_the_datasets(seeds, dataset_seed, expected):
    problem = SimpleNamespace(validation=(96, (100, 101, 102)), measurement=SimpleNamespace(seed=dataset_seed))
    plan = validation_plan(problem, None, seeds)
    assert (plan.images, plan.seeds, plan.baselines_again) == (96, expected, seeds > 3)


def test_without_validation_nothing_is_sampled_and_no_prediction_poses_as_score(tiny, here):
    outcome = run(*FAST, "--output", "out", "--no-validate")
    assert outcome.exit_code == 0, outcome.output
    assert tiny.validated == []
    assert not (here / "leaderboard.csv").exists()
    assert "Nothing was sampled" in outcome.stdout and "winner" not in outcome.stdout.split("winner's schedule")[0]
    for row in rows(here / "out" / "winners.csv"):
        assert row["fd-pixels_mean"] == "" and row["gain_percent"] == "" and float(row["predicted_score"])
    result = json.loads((here / "out" / "result.json").read_text())
    assert all(winner["scores"] is None and winner["mean"] is None for winner in result["winners"])
    assert not list((here / "out").glob("samples-*"))


def test_a_budget_that_the_common_search_misses_is_searched_by_itself(tiny, here):
    outcome = run(*FAST, "--evaluations", "40", "--budget", "1", "--budget", "16", "--output", "out", "--no-validate")
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((here / "out" / "result.json").read_text())
    assert [winner["latency_frozen_ms"] <= winner["budget_ms"] for winner in result["winners"]] == [True, True]


@pytest.mark.parametrize("optimizer", ["nsga2", "evolution"])
def test_budgets_are_kept_by_one_search_or_several(tiny, here, optimizer):
    outcome = run(*FAST, "--optimizer", optimizer, "--budget", "7", "--budget", "3", "--budget", "7",
                  "--output", "out", "--no-validate", "--quiet")  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((here / "out" / "result.json").read_text())
    assert result["budgets"] == [3, 7]
    assert [winner["latency_frozen_ms"] <= winner["budget_ms"] for winner in result["winners"]] == [True, True]
    assert result["search"]["evaluations"] <= 300


def test_quiet_prints_the_folder_alone(tiny, here):
    outcome = run(*FAST, "--quiet", "--train-size", "20")
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stderr == ""
    (line,) = outcome.stdout.splitlines()
    result = json.loads((here / line / "result.json").read_text())
    assert line.startswith("runs/tiny-random-gbdt-")
    assert result["predictor"]["train_size"] == 20


@pytest.mark.parametrize(
    "options, message",
    [
        (["--optimizer", "nsga"], "unknown optimizer 'nsga'; choose one of: nsga2, "),
        (["--predictor", "gdbt"], "unknown predictor 'gdbt'; choose one of: gbdt, "),
        (["--benchmark", "digits"], "unknown benchmark 'digits'; choose one of: digits-"),
        (["--budget", "0.5"], "budget 0.5 ms: the cheapest schedule of tiny takes 1 ms"),
        (["--budget", "nan"], "budget nan ms"),
        (["--train-size", "1"], "train size 1: expected 2 to "),
        (["--train-size", "100000"], "train size 100000: expected 2 to "),
        (["--optimizer", "evolution", "--evaluations", "2"], "2 evaluations: evolution searches each of the 3 budgets"),
        (["--output", "file/below"], "cannot write to folder file/below"),
        (["--output", "full"], "output folder full holds files already"),
        (["--leaderboard", "file/board.csv"], "cannot write to folder file"),
        (["--leaderboard", "other.csv"], "leaderboard other.csv has other columns"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(tiny, here, options, message):
    (here / "file").write_text("a file")
    (here / "other.csv").write_text("name,score\nsomebody,1\n")
    (here / "full").mkdir()
    (here / "full" / "result.json").write_text("{}")
    before = {path: path.read_text() for path in here.rglob("*") if path.is_file()}
    outcome = run(*FAST, *options)
    assert outcome.exit_code == 2
    line = outcome.stderr.strip().splitlines()[-1]
    assert line.startswith("Error: ") and message in line
    assert outcome.stdout == "" and "Traceback" not in outcome.stderr
    assert {path: path.read_text() for path in here.rglob("*") if path.is_file()} == before
    assert tiny.validated == []


def test_cuda_without_cuda(tiny, here, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    outcome = run(*FAST, "--device", "cuda")
    assert outcome.exit_code == 2
    assert "'cuda'" in outcome.stderr and list(here.iterdir()) == []


def test_a_run_that_fails_late_leaves_no_result(tiny, here, monkeypatch):
    """What a killed run leaves: whole files or none, and no result.json."""

    def fail(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(tiny, "validate", fail)
    outcome = run(*FAST, "--output", "out")
    assert outcome.exit_code == 1
    assert list((here / "out").iterdir()) == []
    assert not (here / "leaderboard.csv").exists()


def test_baselines_of_another_zoo_are_told_before_anything_is_fitted(here):
    """A benchmark's files beside a zoo whose members were trained on other noise."""
    from benchmarks.digits import DATA

    for name in ("digits-zoo", "digits-ddim"):
        shutil.copytree(DATA / name, here / name)
    toml = here / "digits-zoo" / "zoo.toml"
    toml.write_text(toml.read_text().replace("beta_end = 0.02", "beta_end = 0.03"))
    outcome = run("--benchmark", "digits-ddim/", "--predictor", "ridge", "--output", "out", "--leaderboard", "l.csv")
    assert outcome.exit_code == 2
    assert "baselines.parquet was measured with" in outcome.stderr and "noise" in outcome.stderr
    assert "held-out" not in outcome.output  # nothing was fitted
    assert not (here / "out").exists() and not (here / "l.csv").exists()
