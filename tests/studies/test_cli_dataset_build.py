"""``omsdpm-bench dataset build`` on a folder small enough for a test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import Benchmark
from omsdpm.dataset import ScheduleDataset
from studies.cli import main

FILE = """
name = "small"
summary = "a small benchmark"

[measurement]
zoo = {zoo}
solver = "ddim"
length = 5
images = 4

[[round]]
name = "random"
design = "random"
n = 9
split = "train"
null = 0.5
"""

# Before the tables, where TOML wants the keys of the file itself.
BUDGETS = "budgets = [3]\nstrategies = []\n"

VALIDATION = """
[validation]
images = 4
seeds = [5, 6]
"""

ROUND = """
[[round]]
name = "later"
design = "random"
n = 4
split = "test"
null = 0.5
"""

ONE_JOB = ("--jobs", "1", "--device", "cpu")


@pytest.fixture
def write(tmp_path, tiny_zoo):
    """``write(text)`` makes ``b/benchmark.toml`` and returns the folder."""

    def make(text):
        folder = tmp_path / "b"
        folder.mkdir(exist_ok=True)
        (folder / "benchmark.toml").write_text(text.replace("{zoo}", json.dumps(str(tiny_zoo))))
        return folder

    return make


def build(folder, *args):
    return CliRunner().invoke(main, ["dataset", "build", str(folder), *ONE_JOB, *args])


def refusal(outcome):
    assert outcome.exit_code == 2, outcome.output
    *parts, line = outcome.stderr.splitlines()
    assert line.startswith("Error: ") and not [part for part in parts if "Error" in part]
    return line


def same_rows(one, two):
    first, second = ({tuple(x): y for x, y in zip(d.X.tolist(), d.y, strict=True)} for d in (one, two))
    assert first.keys() == second.keys()
    for x, y in first.items():
        assert second[x] == pytest.approx(y, rel=1e-5)


def test_a_dataset_is_measured_and_a_later_round_appended(write):
    folder = write(FILE)
    outcome = build(folder)
    assert outcome.exit_code == 0, outcome.output
    assert f"{folder}/schedules.parquet: 9 schedules" in outcome.stdout
    assert "baselines" not in outcome.stdout and not (folder / "baselines.parquet").exists()
    first = ScheduleDataset.read(folder / "schedules.parquet")
    write(FILE + ROUND)
    assert build(folder).exit_code == 0
    both = ScheduleDataset.read(folder / "schedules.parquet")
    assert len(both) == 13 and both.split.tolist() == ["train"] * 9 + ["test"] * 4
    np.testing.assert_array_equal(both.X[:9], first.X)
    np.testing.assert_array_equal(both.y[:9], first.y)
    assert len(np.unique(both.space.canonical(both.X), axis=0)) == 13


def test_budgets_ask_for_baselines(write):
    folder = write(BUDGETS + FILE + VALIDATION)
    outcome = build(folder)
    assert outcome.exit_code == 0, outcome.output
    baselines = Benchmark.read(folder).baselines
    assert f"{len(baselines)} baselines" in outcome.stdout
    assert len(baselines) > 3 and all(len(b.scores) == 2 and b.latency <= 3 for b in baselines)
    again = build(folder)
    assert again.exit_code == 0 and f"{len(baselines)} baselines" in again.stdout


KILLED = """
import os, signal, sys
from omsdpm.dataset import build
shards = 0
write = build.Measured.write
def dying(self, path):
    global shards
    write(self, path)
    shards += 1
    if shards == {after}:
        os.kill(os.getpid(), signal.SIGKILL)
build.Measured.write = dying
from studies.cli import main
main(["dataset", "build", sys.argv[1], "--jobs", "1", "--device", "cpu", "--shard-size", "{size}"])
"""


@pytest.mark.parametrize(("size", "again"), [(2, 5), (5, 2)])
def test_a_killed_build_goes_on_with_another_shard_size(write, tmp_path, size, again):
    """Shards are known by their numbers; those of one size must not be taken for those of another."""
    folder = write(FILE)
    script = KILLED.format(after=1, size=size)
    killed = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, timeout=120)
    assert killed.returncode == -9 and not (folder / "schedules.parquet").exists()
    assert list(folder.glob("build/*/shard-*.npz"))
    outcome = build(folder, "--shard-size", str(again))
    assert outcome.exit_code == 0, outcome.output
    dataset = ScheduleDataset.read(folder / "schedules.parquet")
    assert len(dataset) == 9
    np.testing.assert_allclose(dataset.y, Benchmark.read(write(BUDGETS + FILE)).evaluate(dataset.X), rtol=1e-5)


def test_a_killed_validation_does_not_go_on_with_other_budgets(write):
    folder = write(BUDGETS + FILE + VALIDATION)
    script = KILLED.format(after=3, size=5)  # two shards of the dataset, one of baselines
    killed = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, timeout=120)
    assert killed.returncode == -9
    (left,) = folder.glob("build/baselines/*/shard-*.npz")
    write(BUDGETS.replace("3", "2") + FILE + VALIDATION)
    line = refusal(build(folder))
    assert f"{left.parent} holds shards of other schedules" in line
    assert not (folder / "baselines.parquet").exists() and left.exists()
    write(BUDGETS + FILE + VALIDATION)
    assert build(folder).exit_code == 0
    benchmark = Benchmark.read(folder)
    again = benchmark.validate(np.array([b.schedule for b in benchmark.baselines]))
    np.testing.assert_allclose(again.scores, [b.scores for b in benchmark.baselines], rtol=1e-5)


def test_two_builds_of_a_folder_share_the_work(write, tmp_path):
    folder = write(BUDGETS + FILE + VALIDATION + ROUND)
    log = tmp_path / "log"
    log.mkdir()
    script = """
import sys, time, uuid
from omsdpm.dataset import build
measure = build.measure_shard
def logged(measurement, shard, *args):
    with open(f"{sys.argv[2]}/{uuid.uuid4()}", "w") as file:
        file.write(f"{measurement.seed} {shard.X.tolist()}")
    time.sleep(0.05)
    return measure(measurement, shard, *args)
build.measure_shard = logged
from studies.cli import main
main(["dataset", "build", sys.argv[1], "--jobs", "1", "--device", "cpu", "--shard-size", "2"])
"""
    command = [sys.executable, "-c", script, str(folder), str(log)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        output = process.communicate(timeout=120)
        assert process.returncode == 0, output
    benchmark = Benchmark.read(folder)
    assert len(benchmark.dataset) == 13
    measured = [path.read_text() for path in log.iterdir()]
    twice = {shard: count for shard, count in Counter(measured).items() if count > 1}
    assert not twice, "a shard was measured twice"
    np.testing.assert_allclose(benchmark.dataset.y, benchmark.evaluate(benchmark.dataset.X), rtol=1e-5)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--executor", "dask"], "executor 'dask' needs the address of a scheduler"),
        (["--device", "cuda"], "sees no CUDA here"),
    ],
)
def test_workers_that_are_not_there_are_refused(write, args, message, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    folder = write(FILE)
    assert message in refusal(build(folder, *args))
    assert not (folder / "schedules.parquet").exists()


def test_a_scheduler_that_does_not_answer_is_refused(write, monkeypatch):
    distributed = pytest.importorskip("distributed")

    def no_answer(address, timeout):
        raise OSError("no route")

    monkeypatch.setattr(distributed, "Client", no_answer)
    line = refusal(build(write(FILE), "--executor", "dask", "--scheduler", "tcp://127.0.0.1:9"))
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in line


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[[round]]", "[[round", "is not TOML"),
        ('design = "random"', 'design = "randm"', "unknown design 'randm'; choose one of: random"),
        ('solver = "ddim"', 'solver = "dim"', "unknown solver 'dim'; choose one of: ddim"),
        ("images = 4", 'images = "4"', "images = '4', expected a whole number"),
    ],
)
def test_a_mistake_in_the_file_writes_nothing(write, old, new, message):
    assert old in FILE
    folder = write(FILE.replace(old, new))
    assert message in refusal(build(folder))
    assert [path.name for path in folder.iterdir()] == ["benchmark.toml"]


def test_a_dataset_that_is_none_is_kept(write):
    folder = write(FILE)
    (folder / "schedules.parquet").write_text("not Parquet")
    assert "schedules.parquet" in refusal(build(folder))
    assert (folder / "schedules.parquet").read_text() == "not Parquet"


def test_a_folder_without_the_file_is_named(tmp_path):
    assert f"cannot read {tmp_path}/benchmark.toml" in refusal(build(tmp_path))
    (tmp_path / "file").write_text("")
    assert "cannot read" in refusal(build(tmp_path / "file"))


def test_an_unknown_strategy_is_told_before_anything_is_measured(write):
    folder = write('budgets = [3]\nstrategies = ["single", "lemca"]\n' + FILE + VALIDATION)
    assert "lemca" in (line := refusal(build(folder))) and "lemica" in line
    assert not (folder / "schedules.parquet").exists()
    folder = write('budgets = [3]\nstrategies = ["anneal[labels=0]"]\n' + FILE + VALIDATION)
    assert "labels=0" in refusal(build(folder)) and not (folder / "schedules.parquet").exists()


def test_what_strategies_choose_is_built_and_told(write):
    folder = write('budgets = [3]\nstrategies = ["ays", "anneal[labels=4]"]\n' + FILE + VALIDATION)
    outcome = build(folder)
    assert outcome.exit_code == 0, outcome.output
    benchmark = Benchmark.read(folder)
    assert f"{len(benchmark.baselines)} baselines" in outcome.stdout
    assert [choice.strategy for choice in benchmark.choices] == ["ays", "anneal[labels=4]"]
    assert benchmark.report is not None
    best = benchmark.space.canonical(benchmark.best_baseline(3).schedule)[0].tobytes()
    assert best in benchmark.report.scores
    assert "## What strategies choose" in (folder / "CARD.md").read_text()
