"""``omsdpm-bench predictor``: the release's third workflow, on its own files and on ours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import kendalltau, spearmanr

from omsdpm import DDIMSpace, DPMSolverSpace, ScheduleDataset
from omsdpm.released import read_dataset
from predictors import load_predictor
from studies.cli import main

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


def run(*args):
    return CliRunner().invoke(main, ["predictor", *map(str, args)])


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", ["ddim", "dpm_solver"])
def test_a_released_dataset_trains_a_predictor_that_the_other_half_judges(here, kind):
    source = GOLDEN / f"dataset_{kind}.pth"
    fitted = run(
        "fit", "--dataset", source, "--predictor", "lstm", "--train-ratio", 0.5, "--output", "saved",
        "--set", "updates=3", "--set", "batch_size=16",
    )  # fmt: skip
    assert fitted.exit_code == 0, fitted.output
    assert "on the 32 other schedules: Kendall tau" in fitted.stdout
    predictor = load_predictor("saved")
    assert (predictor.updates, predictor.batch_size) == (3, 16)

    outcome = run("evaluate", "--dataset", source, "--predictor-folder", "saved", "--output", "r.json")
    assert outcome.exit_code == 0, outcome.output
    assert "left out: 32 of 64 schedules" in outcome.stdout
    result = json.loads(Path("r.json").read_text())
    data = read_dataset(source, predictor.space)
    train = np.random.default_rng(0).permutation(64)[:32]
    rest = np.setdiff1d(np.arange(64), train)
    predicted = predictor.predict(data.X[rest])
    assert result["schedules"] == 32 and result["left_out"] == 32
    assert result["kendall_tau"] == pytest.approx(kendalltau(data.y[rest], predicted).statistic)
    assert result["spearman"] == pytest.approx(spearmanr(data.y[rest], predicted).statistic)


def test_a_folder_of_pairs_and_our_parquet_are_datasets_too(here):
    folder = GOLDEN / "dataset_ddim_dir"
    fitted = run("fit", "--dataset", folder, "--predictor", "gp", "--output", "saved", "--members", 6, "--seed", 1)
    assert fitted.exit_code == 0, fitted.output
    read_dataset(folder, num_models=6).write("d.parquet")
    for dataset in (folder, "d.parquet"):
        outcome = run("evaluate", "--dataset", dataset, "--predictor-folder", "saved")
        assert outcome.exit_code == 0, outcome.output
        assert "left out: 3 of 6 schedules" in outcome.stdout


def test_splits_of_a_dataset_are_kept_unless_a_ratio_is_given(here):
    space, rng = DDIMSpace(3, 8), np.random.default_rng(0)
    X = np.unique(space.random(60, rng), axis=0)
    y = space.latency(X, [1, 2, 4]) + rng.random(len(X))
    split = np.array([("train", "train", "validation", "test", "")[i % 5] for i in range(len(X))])
    ScheduleDataset(space, X, y, split, extra={"latency_ms": [1.0, 2.0, 4.0]}).write("d.parquet")
    fitted = run("fit", "--dataset", "d.parquet", "--predictor", "gbdt", "--output", "saved")
    assert fitted.exit_code == 0, fitted.output
    seen = int(np.isin(split, ["train", "validation"]).sum())
    assert f"Fitting gbdt on {(split == 'train').sum()} of {len(X)} schedules" in fitted.stderr
    assert list(load_predictor("saved").latency) == [1.0, 2.0, 4.0]
    outcome = run("evaluate", "--dataset", "d.parquet", "--predictor-folder", "saved")
    assert f"left out: {seen} of {len(X)} schedules" in outcome.stdout

    assert (
        run("fit", "--dataset", "d.parquet", "--predictor", "gp", "--train-ratio", 1, "--output", "all").exit_code == 0
    )
    outcome = run("evaluate", "--dataset", "d.parquet", "--predictor-folder", "all")
    assert outcome.exit_code == 2 and "were fitted on: give a dataset with at least 2 others" in outcome.stderr


def test_schedules_that_sample_the_same_count_as_seen(here):
    """A DPM-Solver schedule with its empty solvers elsewhere is the same schedule."""
    space = DPMSolverSpace(2, 3)
    X = np.unique(space.canonical(space.random(30, np.random.default_rng(0), null=0.6)), axis=0)
    ScheduleDataset(space, X, np.arange(len(X), dtype=float)).write("a.parquet")
    assert run("fit", "--dataset", "a.parquet", "--predictor", "gp", "--output", "saved").exit_code == 0
    moved = np.roll(X.reshape(-1, 3, 3), 1, axis=1).reshape(X.shape)
    same = (space.canonical(moved) == X).all(axis=1)
    ScheduleDataset(space, moved[same], np.arange(same.sum(), dtype=float)).write("b.parquet")
    train = np.random.default_rng(0).permutation(len(X))[: round(len(X) / 2)]
    expected = np.isin(np.flatnonzero(same), train).sum()
    outcome = run("evaluate", "--dataset", "b.parquet", "--predictor-folder", "saved")
    assert f"left out: {expected} of {same.sum()} schedules" in outcome.stdout and expected


def test_a_released_checkpoint_is_judged_on_all(here):
    X = DPMSolverSpace(6, 20).random(12, np.random.default_rng(0))
    ScheduleDataset(DPMSolverSpace(6, 20), X, np.arange(12.0)).write("celeba.parquet")
    for dataset, count in ((GOLDEN / "dataset_dpm_solver.pth", 64), ("celeba.parquet", 12)):
        outcome = run("evaluate", "--dataset", dataset, "--predictor-folder", GOLDEN / "predictor_dpm_solver.pth")
        assert outcome.exit_code == 0, outcome.output
        assert f"does not tell what it was fitted on: all {count} schedules are used" in outcome.stdout


FIT = ["fit", "--dataset", GOLDEN / "dataset_ddim.pth", "--output", "out"]
EVALUATE = ["evaluate", "--dataset", GOLDEN / "dataset_ddim.pth", "--predictor-folder"]


@pytest.mark.parametrize(
    "args, expected",
    [
        ([*FIT, "--predictor", "lstn"], "unknown predictor 'lstn'; choose one of: lstm"),
        ([*FIT, "--train-ratio", 0.01], "train ratio 0.01 of 64 schedules"),
        ([*FIT, "--set", "updates"], "--set updates: expected NAME=VALUE"),
        ([*FIT, "--set", "update=3"], "unknown parameter of predictor 'lstm' 'update'; choose one of: updates"),
        ([*FIT, "--solver", "dpm-solver"], "for dpm-solver: expected a multiple of 3"),
        ([*FIT, "--members", 5], "names member 6"),
        ([*FIT, "--latency", GOLDEN / "released_zoo/tiny_latency.pth"], "names member"),
        ([*FIT, "--output", "file"], "output file is a file"),
        ([*FIT, "--output", "full"], "holds files and is not a saved predictor"),
        (["fit", "--dataset", "absent.parquet", "--output", "out"], "dataset absent.parquet does not exist"),
        (["fit", "--dataset", "absent.pth", "--output", "out"], "cannot read absent.pth"),
        ([*EVALUATE, "full"], "no predictor in full"),
        ([*EVALUATE, GOLDEN / "predictor_dpm_solver.pth"], "for dpm-solver: expected a multiple of 3"),
        ([*EVALUATE, GOLDEN / "predictor_dpm_solver.pth", "--solver", "ddim"], "for dpm-solver, not ddim"),
        ([*EVALUATE, GOLDEN / "searched_ddim.pth"], "holds no network's weights"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(here, args, expected):
    (here / "file").touch()
    (here / "full").mkdir()
    (here / "full" / "file").touch()
    outcome = run(*args)
    assert outcome.exit_code == 2, outcome.output
    errors = [line for line in outcome.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1 and expected in errors[0]
    assert sorted(path.name for path in here.iterdir()) == ["file", "full"]


def test_a_predictor_and_what_it_was_fitted_on_are_there_together(here, monkeypatch):
    """A fit that is stopped where it writes what it has seen leaves the predictor that was there, with its own."""
    from studies.jobs.fit.result import FitResult

    source = GOLDEN / "dataset_ddim.pth"
    fit = ("fit", "--dataset", source, "--predictor", "ridge", "--output", "saved", "--train-ratio")
    assert run(*fit, 0.25).exit_code == 0
    before = load_predictor("saved").predict(read_dataset(source).X)

    def stop(self, path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FitResult, "write", stop)
        assert run(*fit, 0.5).exit_code == 1
    assert np.array_equal(load_predictor("saved").predict(read_dataset(source).X), before)
    judged = run("evaluate", "--dataset", source, "--predictor-folder", "saved")
    assert "left out: 16 of 64 schedules" in judged.stdout
    assert run(*fit, 0.5).exit_code == 0
    assert "left out: 32 of 64" in run("evaluate", "--dataset", source, "--predictor-folder", "saved").stdout
    assert [path.name for path in here.iterdir()] == ["saved"]
