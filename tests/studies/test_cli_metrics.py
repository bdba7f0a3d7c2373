"""Metrics by name through the command: a benchmark whose scores are negated, and what cannot be used in one line."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import Benchmark
from omsdpm import DDIMSpace, DPMSolverSpace
from omsdpm.released import write_population, write_schedule
from studies.cli import main
from studies.jobs.confirm.result import Duel
from studies.jobs.run.winners import Scored, Winner
from studies.jobs.validate import ValidateResult
from studies.judging import mean_regret_percent
from studies.records.tables import uncell

RELEASED = Path(__file__).parents[1] / "data" / "golden" / "released_zoo"

FILE = """
name = "near"
summary = "How near to member 3."
budgets = [6, 12]
strategies = []

[measurement]
zoo = {zoo}
solver = "ddim"
length = 5
metric = "{metric}"
images = 8
seed = 3

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


def write(folder, zoo, metric):
    folder.mkdir(exist_ok=True)
    (folder / "benchmark.toml").write_text(FILE.format(zoo=json.dumps(str(zoo)), metric=metric))
    return folder


@pytest.fixture(scope="module")
def near(tmp_path_factory, tiny_zoo):
    folder = write(tmp_path_factory.mktemp("psnr"), tiny_zoo, "psnr[member=3]")
    outcome = run("dataset", "build", folder, "--jobs", 1, "--device", "cpu")
    assert outcome.exit_code == 0, outcome.output
    return folder


def test_what_is_better_when_higher_is_searched_negated(near, tmp_path):
    benchmark = Benchmark.read(near)
    assert benchmark.metric == benchmark.dataset.metric == "-psnr[member=3]"
    assert (benchmark.dataset.y < 0).all()
    assert "-psnr[member=3] (lower is better)" in (near / "CARD.md").read_text()
    outcome = run(
        "run", "--benchmark", near, "--optimizer", "random", "--predictor", "gbdt[trees=20,threads=1]",
        "--evaluations", 100, "--seeds", 2, "--device", "cpu", "--output", tmp_path / "out",
        "--leaderboard", tmp_path / "board.csv",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    assert "-psnr: mean" in " ".join(outcome.stdout.split())
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    for winner in result["winners"]:
        scores = benchmark.validate([winner["schedule"]], images=10, seeds=[3001, 3002]).scores[0]
        assert winner["measured"]["scores"] == pytest.approx(scores.tolist(), rel=1e-4)
        best = np.mean(winner["baseline"]["scores"])
        # Percent of the decibels that the baseline has: more are a gain.
        assert winner["gain"]["percent"] == pytest.approx(100 * (best - np.mean(scores)) / -best, abs=1e-3)
    (row, *_) = csv.DictReader((tmp_path / "board.csv").open())
    assert uncell(row["metric"]) == "-psnr[member=3]"  # no formula to a spreadsheet


def test_a_gain_is_one_where_scores_are_negated():
    baseline = Scored(name="b", source="single", schedule=(1,), latency=1, scores=(-20.0,))
    measured = Scored(name="candidate 1", source="search", schedule=(1,), latency=1, scores=(-22.0,))
    winner = Winner(budget=1, schedule=(1,), nfe=1, latency=1, predicted=0, measured=measured, baseline=baseline)
    assert winner.gain == pytest.approx(10)
    duel = Duel(budget=1, baseline="b", winner_scores=(-22.0,), baseline_scores=(-20.0,))
    assert duel.paired.gain == pytest.approx(10)
    assert mean_regret_percent(np.array([1.0, 0.0]), np.array([-10.0, -20.0])) == pytest.approx(5)


def test_validate_and_sample_call_it_so_too(near, tiny_zoo, tmp_path):
    benchmark = Benchmark.read(near)
    X = benchmark.dataset.X[:3]
    write_population(tmp_path / "p.pth", X)
    outcome = run(
        "validate", "--population", tmp_path / "p.pth", "--benchmark", near, "--num-images", 8, "--final-images", 0,
        "--device", "cpu", "--output", tmp_path / "v.json",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((tmp_path / "v.json").read_text())
    expected = benchmark.validate(X, images=8, seeds=[1001]).scores[:, 0]
    assert [one["score"] for one in result["schedules"]] == pytest.approx(expected.tolist(), rel=1e-4)
    assert result["metric"] == "-psnr[member=3]"
    write_schedule(tmp_path / "s.pth", X[0], DDIMSpace(3, 5))
    outcome = run(
        "sample", "--zoo", tiny_zoo, "--schedule", tmp_path / "s.pth", "-n", 8, "--seed", 1001, "--device", "cpu",
        "--metric", "psnr[member=3]", "--output", tmp_path / "s.json",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    sampled = json.loads((tmp_path / "s.json").read_text())
    assert sampled["metric"] == "-psnr[member=3]" and sampled["score"] == pytest.approx(expected[0], rel=1e-4)
    assert "-psnr[member=3]: -" in outcome.stdout


def test_several_metrics_of_one_sample_set(near, tiny_zoo, tmp_path):
    benchmark = Benchmark.read(near)
    X = benchmark.dataset.X[:3]
    write_population(tmp_path / "p.pth", X)
    arguments = [
        "validate", "--population", tmp_path / "p.pth", "--benchmark", near, "--num-images", 40, "--final-images", 50,
        "--device", "cpu", "--metric", "psnr[member=3],fd-digits,kid[features=digits]",
    ]  # fmt: skip
    outcome = run(*arguments, "--output", tmp_path / "v.json")
    assert outcome.exit_code == 0, outcome.output
    result = ValidateResult.read(tmp_path / "v.json")
    assert result.metrics == ("-psnr[member=3]", "fd-digits", "kid[features=digits]")
    expected = benchmark.validate(X, images=40, seeds=[1001]).scores[:, 0]
    assert [one.score for one in result.schedules] == pytest.approx(expected.tolist(), rel=1e-4)
    alone = benchmark.measurement.with_noise(images=40, seed=1001)
    distances = replace(alone, metric="fd-digits").open().measure(X)
    assert [one.further[0].score for one in result.schedules] == pytest.approx(distances.tolist(), rel=1e-4)
    assert all(score.error > 0 for one in (*result.schedules, result.best) for score in one.scores(result.metric))
    assert result.best.images == 50 and "±" in outcome.stdout and "fd-digits" in outcome.stdout
    older = json.loads((tmp_path / "v.json").read_text())
    for one in (*older["schedules"], older["best"]):
        del one["error"], one["further"]  # as they were before there were errors
    (tmp_path / "older.json").write_text(json.dumps(older))
    assert ValidateResult.read(tmp_path / "older.json").metrics == ("-psnr[member=3]",)
    outcome = run(*arguments, "--output", tmp_path / "v.csv")
    assert outcome.exit_code == 0, outcome.output
    rows = list(csv.DictReader((tmp_path / "v.csv").open()))
    assert len(rows) == 3 * 3 + 3 and [row["round"] for row in rows] == ["1"] * 9 + ["2"] * 3
    assert float(rows[1]["score"]) == result.order[0].further[0].score and float(rows[0]["error"]) > 0
    write_schedule(tmp_path / "s.pth", X[0], DDIMSpace(3, 5))
    outcome = run(
        "sample", "--zoo", tiny_zoo, "--schedule", tmp_path / "s.pth", "-n", 40, "--seed", 1001, "--device", "cpu",
        "--metric", "fd-digits,precision[features=digits],psnr[member=3]", "--output", tmp_path / "s.csv",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    rows = list(csv.DictReader((tmp_path / "s.csv").open()))
    assert [uncell(row["metric"]) for row in rows] == ["fd-digits", "-precision[features=digits]", "-psnr[member=3]"]
    assert float(rows[0]["score"]) == pytest.approx(distances[0], rel=1e-4)
    assert outcome.stdout.count(" ± ") == 3


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("fd-digits,psnr[member=3]", "benchmark near has psnr[member=3]; name it first"),
        ("fd-digits", "leave --metric out, or name it first, with a comma after it"),
        ("psnr[member=3],,kid", "--metric 'psnr[member=3],,kid': expected values with a comma between two"),
        ("psnr[member=3],psnr[member=3]", "metric 'psnr[member=3]' is given twice"),
        ("psnr[member=3],kdi", "unknown metric 'kdi'"),
    ],
)
def test_metrics_that_cannot_be_taken_together(near, tmp_path, metric, message):
    write_population(tmp_path / "p.pth", Benchmark.read(near).dataset.X[:2])
    outcome = run("validate", "--population", tmp_path / "p.pth", "--benchmark", near, "--metric", metric,
                  "--device", "cpu")  # fmt: skip
    assert outcome.exit_code == 2, outcome.output
    (line,) = [line for line in outcome.stderr.splitlines() if line.startswith("Error: ")]
    assert message in line


def test_digits_are_no_reference_for_other_images(tmp_path):
    write_schedule(tmp_path / "s.pth", [2, 1, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0], DPMSolverSpace(2, 4))
    arguments = [
        "--zoo",
        RELEASED,
        "--schedule",
        tmp_path / "s.pth",
        "--solver",
        "dpm-solver",
        "-n",
        3,
        "--device",
        "cpu",
    ]
    for metric, more, expected in [
        ("fd-digits", [], "metric 'fd-digits' is for images of 1x8x8: these are 3x16x16; give fid, kid or fd"),
        ("kid[features=digits]", [], "metric 'kid' needs real images to compare with: give --stats FILE.npz"),
        ("kid[features=digits]", ["--stats", "digits"], "images of 3x16x16 have no likeness to scikit-learn's digits"),
        ("psnr[member=1]", ["--stats", "digits"], "--stats digits: metric 'psnr' compares with no real images"),
        ("psnr[member=3]", [], "metric 'psnr': member = 3, expected one of 1..2"),
        ("psnr", [], "metric 'psnr': missing a required argument: 'member'"),
        ("kdi", [], "unknown metric 'kdi'; choose one of: kid"),
        ("kid[feature=digits]", [], "unknown parameter of metric 'kid' 'feature'; choose one of: features"),
    ]:
        outcome = run("sample", "--device", "cpu", *arguments, "--metric", metric, *more)
        assert outcome.exit_code == 2, outcome.output
        (line,) = [line for line in outcome.stderr.splitlines() if line.startswith("Error: ")]
        assert expected in line


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('metric = "fd-digits"', 'metric = "fid"\ninception_weights = "w.pth"', 'metric = "fid[weights=w.pth]"'),
        ('metric = "fd-digits"', 'metric = "fid[weights=w.pth]"', "Inception weights {folder}/w.pth do not exist"),
        ('metric = "fd-digits"', 'metric = "fid-digits"', "unknown metric 'fid-digits'; choose one of: fd-digits"),
        ('metric = "fd-digits"', 'metric = "fid[size=3]"', "unknown parameter of metric 'fid' 'size'"),
        ('metric = "fd-digits"', 'metric = "kid"\nreference = "absent"', "cannot read reference {folder}/absent: "),
    ],
)
def test_benchmarks_that_cannot_be_measured_are_told_in_one_line(tmp_path, tiny_zoo, old, new, expected):
    folder = write(tmp_path / "b", tiny_zoo, "fd-digits")
    text = (folder / "benchmark.toml").read_text()
    assert old in text
    (folder / "benchmark.toml").write_text(text.replace(old, new))
    outcome = run("dataset", "build", folder, "--jobs", 1, "--device", "cpu")
    assert outcome.exit_code == 2, outcome.output
    (line,) = [line for line in outcome.stderr.splitlines() if line.startswith("Error: ")]
    assert expected.replace("{folder}", str(folder)) in line
    assert [path.name for path in folder.iterdir()] == ["benchmark.toml"]


def test_validate_samples_as_the_benchmark_does(tiny_zoo, tmp_path):
    """All of its solver's options, not the spacing alone."""
    folder = write(tmp_path / "b", tiny_zoo, "fd-digits")
    text = (folder / "benchmark.toml").read_text()
    (folder / "benchmark.toml").write_text(
        text.replace('solver = "ddim"\nlength = 5', 'solver = "dpm-solver"\nlength = 6\nt_end = 0.05')
    )
    benchmark = Benchmark.read(folder)
    X = [[1, 2, 0, 3, 1, 1], [2, 0, 0, 2, 3, 0]]
    write_population(tmp_path / "p.pth", X)
    outcome = run(
        "validate", "--population", tmp_path / "p.pth", "--benchmark", folder, "--num-images", 12, "--final-images", 0,
        "--device", "cpu", "--output", tmp_path / "v.json",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    expected = benchmark.measurement.with_noise(images=12, seed=1001).open().measure(X)
    scored = json.loads((tmp_path / "v.json").read_text())["schedules"]
    assert [one["score"] for one in scored] == pytest.approx(expected.tolist(), rel=1e-4)
