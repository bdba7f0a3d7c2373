"""The release's second workflow: search on a released predictor, then sample what was found."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import omsdpm.scoring.metrics.context
from omsdpm import DDIMSpace, DPMSolverSpace
from omsdpm.fid import Statistics
from omsdpm.released import load_predictor, load_zoo, read_latency, read_schedules, write_population
from omsdpm.scoring.metrics import Context, OpenMetric
from omsdpm.scoring.sampler import Sampler
from predictors.paper.network import ScheduleNetwork
from studies.cli import main

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
RELEASED = GOLDEN / "released_zoo"
LATENCY = GOLDEN / "zoo_latency.pth"


def run(*args):
    return CliRunner().invoke(main, list(map(str, args)))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Pixels:
    """A feature network of twelve means, quick where Inception is not."""

    name, dim = "fid", 12

    def __call__(self, images):
        return images.double().unflatten(2, (2, 8)).unflatten(4, (2, 8)).mean(dim=(3, 5)).flatten(1).numpy()


@pytest.fixture
def pixels(here, monkeypatch):
    """Statistics for :class:`Pixels`, which stands for Inception."""
    monkeypatch.setattr(omsdpm.scoring.metrics.context, "make_features", lambda text, **kw: Pixels())
    Statistics(np.zeros(12), np.eye(12)).write("stats.npz")
    return Statistics.read("stats.npz")


SEARCH = [
    "run", "--optimizer", "evolution", "--predictor-checkpoint", GOLDEN / "predictor_dpm_solver.pth",
    "--latency", LATENCY, "--solver", "dpm-solver", "--length", 90,
]  # fmt: skip


def test_search_with_a_released_predictor(here):
    outcome = run(*SEARCH, "--budget", 4000, "--evaluations", 300, "--output", "out")
    assert outcome.exit_code == 0, outcome.output
    assert "nothing was sampled" in outcome.stdout and "Run folder: out" in outcome.stdout
    assert sorted(path.name for path in Path("out").iterdir() if path.suffix != ".lock") == [
        "best_schedule.pth", "final_population.pth", "pareto.csv", "result.json", "run.json", "winners.csv",
    ]  # fmt: skip
    space = DPMSolverSpace(6, 30)
    X, latency = read_schedules("out/final_population.pth", space), read_latency(LATENCY)
    cost = space.latency(X, latency)
    scores = load_predictor(GOLDEN / "predictor_dpm_solver.pth").predict(X)
    assert 10 <= len(X) <= 40 and len(np.unique(X, axis=0)) == len(X)
    assert cost.max() <= 4000 and (np.diff(scores) >= 0).all()
    assert np.array_equal(read_schedules("out/best_schedule.pth", space), X[:1])

    result = json.loads(Path("out/result.json").read_text())
    (winner,) = result["winners"]
    assert winner["schedule"] == X[0].tolist() and winner["budget_ms"] == 4000
    assert winner["predicted_score"] == pytest.approx(scores[0]) and winner["latency_frozen_ms"] == cost[0]
    assert result["problem"] == {"solver": "dpm-solver", "num_models": 6, "length": 90, "latency_ms": latency}
    assert result["search"] == {"optimizer": "evolution", "evaluations": 300}
    assert len(result["predictor"]["sha256"]) == 64
    with open("out/winners.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["schedule"].split() == list(map(str, X[0])) and float(row["latency_frozen_ms"]) == cost[0]
    with open("out/pareto.csv", newline="") as file:
        front = list(csv.DictReader(file))
    assert [float(r["latency_frozen_ms"]) for r in front] == sorted(float(r["latency_frozen_ms"]) for r in front)

    again = run(*shlex.split(result["command"])[1:], "--output", "again", "--quiet")
    assert again.stdout == "again\n"
    assert np.array_equal(read_schedules("again/final_population.pth"), X)


def test_several_budgets_have_a_population_each(here):
    checkpoint = GOLDEN / "predictor_ddim.pth"
    outcome = run(
        "run", "--optimizer", "nsga2", "--predictor-checkpoint", checkpoint, "--latency", LATENCY,
        "--budget", 3000, "--budget", 1500, "--evaluations", 200, "--output", "out",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    space = DDIMSpace(6, 100)
    for budget in (1500, 3000):
        X = read_schedules(f"out/final_population-{budget}.pth", space)
        assert space.latency(X, read_latency(LATENCY)).max() <= budget
        assert np.array_equal(read_schedules(f"out/best_schedule-{budget}.pth"), X[:1])


@pytest.mark.parametrize(
    "more, expected",
    [
        ([], "give --budget MS"),
        (["--budget", 4000, "--solver", "ddim", "--length", 100], "is a predictor for dpm-solver, not ddim"),
        (["--budget", 4000, "--solver", "dpm-solver++"], "released predictors are for ddim or dpm-solver"),
        (["--budget", 4000, "--length", 91], "length 91 for dpm-solver: expected a multiple of 3"),
        (["--budget", 60], "budget 60 ms: one step of the fastest member"),
        (["--budget", "nan"], "budget nan ms"),
        (["--budget", 4000, "--latency", RELEASED / "tiny_latency.pth"], "2 latencies for 6 members"),
        (["--budget", 4000, "--optimizer", "evolutoin"], "unknown optimizer 'evolutoin'; choose one of: evolution"),
        (["--budget", 4000, "--benchmark", "digits-ddim"], "--benchmark with --predictor-checkpoint"),
        (["--budget", 4000, "--predictor-config", GOLDEN / "predictor_ddim.json"], "config key sampler_type"),
        (["--budget", 4000, "--predictor-checkpoint", RELEASED / "1/ckpt.pth"], "expected a predictor"),
        (["--budget", 4000, "--predictor-checkpoint", "absent.pth"], "cannot read absent.pth"),
        (["--budget", 4000, "--predictor-checkpoint", "."], "no predictor in ."),
        (["--budget", 4000, "--output", "full"], "holds files already"),
    ],
)
def test_bad_input_of_a_search_is_one_line(here, more, expected):
    (here / "full").mkdir()
    (here / "full" / "file").touch()
    outcome = run(*SEARCH, "--quiet", *more)
    assert outcome.exit_code == 2, outcome.output
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("Error: ") and expected in line
    assert [path.name for path in here.iterdir()] == ["full"]


def test_options_of_one_kind_of_run_are_refused_by_the_other():
    for more in (["--latency", LATENCY], ["--solver", "ddim"], ["--length", 90], ["--predictor-config", "x"]):
        outcome = run("run", *more)
        assert outcome.exit_code == 2
        assert f"{more[0]} is for a search without a benchmark" in outcome.stderr
    outcome = run("run", "--predictor-checkpoint", GOLDEN / "predictor_ddim.pth", "--budget", 4000)
    assert outcome.exit_code == 2 and "give --latency FILE too" in outcome.stderr


# -- validate ------------------------------------------------------------------------


def test_search_then_validate_on_a_released_zoo(here, pixels):
    """All of it in the release's layouts: predictor, latency, population, zoo."""
    torch.manual_seed(0)
    torch.save({"predictor": ScheduleNetwork(2, True).state_dict()}, "predictor.pth")
    found = run(
        "run", "--optimizer", "evolution", "--predictor-checkpoint", "predictor.pth", "--solver", "dpm-solver",
        "--latency", RELEASED / "tiny_latency.pth", "--length", 12, "--budget", 700, "--evaluations", 60,
        "--output", "out",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    outcome = run(
        "validate", "--population", "out/final_population.pth", "--zoo", RELEASED, "--solver", "dpm-solver",
        "--stats", "stats.npz", "--top", 3, "--num-images", 4, "--final-images", 6, "--batch-size", 3,
        "--device", "cpu", "--output", "v.json",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    result = json.loads(Path("v.json").read_text())
    zoo, X = load_zoo(RELEASED), read_schedules("out/final_population.pth")[:3]
    sampler = Sampler(zoo, DPMSolverSpace(2, 4))
    metric = OpenMetric("fid", Context(zoo.shape, reference="stats.npz"))
    expected = sampler.score(X, 4, seed=1001, metric=metric)
    assert [row["score"] for row in result["schedules"]] == pytest.approx(expected.tolist(), rel=1e-3)
    assert [row["schedule"] for row in result["schedules"]] == X.tolist()
    assert all(row["latency_ms"] <= 700 for row in result["schedules"])
    best = result["best"]
    assert best["row"] == int(expected.argmin()) and (best["images"], best["seed"]) == (6, 1002)
    (final,) = sampler.score(X[[best["row"]]], 6, seed=1002, metric=metric)
    assert best["score"] == pytest.approx(final, rel=1e-3)
    assert f"{best['score']:.4f}" in outcome.stdout and "fresh noise, seed 1002" in outcome.stdout


def test_fixed_noise_and_no_second_round(here, pixels):
    torch.save(torch.randn(5, 3, 16, 16), "noise.pth")
    write_population("population.pth", [[2, 0, 1], [0, 1, 0]])
    common = ["validate", "--population", "population.pth", "--zoo", RELEASED, "--stats", "stats.npz", "--output"]
    common += ["v.json", "--noise", "noise.pth", "--num-images", 5, "--solver", "ddim", "--final-images"]
    outcome = run(*common, 0)
    assert outcome.exit_code == 0, outcome.output
    result = json.loads(Path("v.json").read_text())
    assert result["best"]["score"] == min(row["score"] for row in result["schedules"])
    assert "the given noise" in outcome.stdout
    short = run(*common, 6)
    assert short.exit_code == 2 and "starting noise for 5 images: 6 are asked for" in short.stderr


@pytest.mark.parametrize(
    "args, expected",
    [
        ([], "give --zoo FOLDER or --benchmark NAME"),
        (["--zoo", RELEASED, "--benchmark", "digits-ddim"], "give --zoo FOLDER or --benchmark NAME"),
        (["--zoo", RELEASED], "metric 'fid' needs real images"),
        (["--zoo", RELEASED, "--stats", "stats.npz"], "schedule 0 names member 5 in slot 1: the zoo has members 1..2"),
        (["--zoo", RELEASED, "--stats", "stats.npz", "--solver", "dpm-solver"], "length 100 for dpm-solver"),
        (["--zoo", RELEASED, "--stats", "stats.npz", "--latency", LATENCY], "6 latencies for 2 members"),
        (["--benchmark", "digits-ddmi"], "unknown benchmark 'digits-ddmi'; choose one of: digits-ddim"),
        (["--benchmark", "digits-ddim", "--metric", "fid"], "benchmark digits-ddim has fd-digits"),
        (["--benchmark", "digits-ddim", "--solver", "dpm-solver"], "benchmark digits-ddim has ddim"),
        (["--benchmark", "digits-ddim", "--seed", "0"], "seed 0 is the noise of benchmark digits-ddim's dataset"),
        (["--benchmark", "digits-ddim", "--latency", LATENCY], "has its own frozen table"),
        (["--zoo", RELEASED, "--stats", "stats.npz", "--population", "absent.pth"], "no schedule at 'absent.pth'"),
    ],
)
def test_bad_input_of_validate_is_one_line(here, pixels, args, expected):
    outcome = run("validate", "--population", GOLDEN / "final_population_ddim.pth", *args)
    assert outcome.exit_code == 2, outcome.output
    lines = outcome.stderr.splitlines()
    assert lines[-1].startswith("Error: ") and expected in lines[-1] and len(lines) == 1
