"""``omsdpm-bench predictor compare --dataset``: released data in random halves, and our splits."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import kendalltau

from omsdpm.dataset import ScheduleDataset
from omsdpm.released import read_dataset
from predictors import make_predictor
from studies.cli import main

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


def compare(*args):
    return CliRunner().invoke(
        main, ["predictor", "compare", "--output", "out", "--predictor", "ridge", *map(str, args)]
    )


def rows():
    with open("out/predictors.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["dataset_ddim.pth", "dataset_dpm_solver.pth", "dataset_ddim_dir"])
def test_each_seed_draws_halves_of_released_data(name):
    path = GOLDEN / name
    assert (result := compare("--dataset", path, "--seeds", 2)).exit_code == 0, result.output
    data = read_dataset(path)
    found = rows()
    assert len(found) == 2 and {row["regret"] for row in found} == {""}
    for row in found:
        seed, half = int(row["seed"]), round(len(data) / 2)
        assert int(row["train_size"]) == half
        chosen = np.random.default_rng(seed).permutation(len(data))[:half]
        train, test = data[np.sort(chosen)], data[np.setdiff1d(np.arange(len(data)), chosen)]
        order = np.sort(np.random.default_rng(seed).permutation(half)[:half])
        predictor = make_predictor("ridge", space=data.space, random_state=seed)
        predictor.fit(train.X[order], train.y[order])
        tau = kendalltau(test.y, predictor.predict(test.X)).statistic
        assert float(row["kendall_tau"]) == pytest.approx(tau, abs=1e-6)
    again = compare("--dataset", path, "--seeds", 2)
    assert again.exit_code == 0 and len(rows()) == 2


def test_parquet_keeps_its_splits():
    data = read_dataset(GOLDEN / "dataset_ddim.pth")
    split = np.array(["train"] * 40 + ["test"] * (len(data) - 40))
    ScheduleDataset(data.space, data.X, data.y, split).write("mine.parquet")
    assert (result := compare("--dataset", "mine.parquet", "--seeds", 1, "--train-sizes", 40)).exit_code == 0, (
        result.output
    )
    predictor = make_predictor("ridge", space=data.space, random_state=0).fit(data.X[:40], data.y[:40])
    tau = kendalltau(data.y[40:], predictor.predict(data.X[40:])).statistic
    assert float(rows()[0]["kendall_tau"]) == pytest.approx(tau, abs=1e-6)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--dataset", "no.pth"), "no.pth"),
        (("--dataset", GOLDEN / "dataset_ddim.pth", "--benchmark", "digits-tab"), "--benchmark beside --dataset"),
        (("--dataset", GOLDEN / "dataset_ddim.pth", "--search"), "--search beside --dataset: a dataset has no budgets"),
        (("--members", 3), "--members is of a dataset"),
        (("--dataset", GOLDEN / "dataset_ddim.pth", "--train-sizes", 1000), "train size 1000"),
    ],
)
def test_bad_input(args, message):
    result = compare(*args)
    assert result.exit_code == 2 and message in result.output and result.output.count("\n") == 1
    assert not Path("out/predictors.csv").exists()
