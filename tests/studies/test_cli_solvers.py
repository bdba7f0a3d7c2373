"""Every solver in ``dataset build``, ``run``, ``validate``, ``sample``, and a search on what was built."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import load_benchmark
from omsdpm import ModelZoo
from omsdpm.released import read_schedules, write_population
from omsdpm.solvers import solver_names as all_solvers
from studies.cli import main
from studies.jobs.solvers import solver_names

SOLVERS = solver_names()

RECIPE = """
name = "few"
summary = "For a test."
budgets = [8]
strategies = []

[measurement]
zoo = {zoo}
solver = "{solver}"
length = 9
images = 8
seed = 1

[validation]
images = 8
seeds = [11, 12]

[[round]]
name = "first"
design = "random"
n = 24
splits = {{ train = 16, test = 8 }}
null = 0.5
"""


def run(*args):
    outcome = CliRunner().invoke(main, list(map(str, args)))
    assert outcome.exit_code == 0, outcome.output
    return outcome


def test_the_options_solvers_are_all_there_are():
    for command in ("sample", "validate", "run", "dataset import", "predictor fit", "predictor evaluate"):
        assert f"[{'|'.join(all_solvers())}]" in run(*command.split(), "--help").output


def test_help_of_every_command_imports_nothing_heavy():
    """In one process, since each alone would only say less."""
    program = """
import click, sys
from studies.cli import main
def visit(command, name):
    with click.Context(command, info_name=name) as ctx:
        command.get_help(ctx)
        for part in command.list_commands(ctx) if isinstance(command, click.Group) else []:
            visit(command.get_command(ctx, part), part)
visit(main, "omsdpm-bench")
heavy = ("torch", "pandas", "sklearn", "scipy", "matplotlib", "diffusers", "pymoo", "optuna", "xgboost")
print([name for name in heavy if name in sys.modules])
"""
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert outcome.stdout == "[]\n", outcome.stderr


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_solver_works_everywhere(solver, tiny_zoo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("few").mkdir()
    Path("few/benchmark.toml").write_text(RECIPE.format(zoo=json.dumps(str(tiny_zoo)), solver=solver))
    run("dataset", "build", "few", "--jobs", 1, "--device", "cpu")
    benchmark = load_benchmark("few")
    assert benchmark.space.solver == benchmark.dataset.space.solver == solver and len(benchmark.dataset) == 24

    run(
        "run", "--benchmark", "few", "--optimizer", "random", "--predictor", "gp", "--evaluations", 30, "--seeds", 1,
        "--device", "cpu", "--output", "benchmarked",
    )  # fmt: skip
    (winner,) = json.loads(Path("benchmarked/result.json").read_text())["winners"]
    assert winner["latency_frozen_ms"] <= 8 and np.isfinite(winner["measured"]["mean"])
    population = read_schedules("benchmarked/population-8.pth", benchmark.space).tolist()
    assert winner["own"]["schedule"] in population[:10]

    run("predictor", "fit", "--dataset", "few/schedules.parquet", "--predictor", "gp", "--output", "predictor")
    run(
        "run", "--optimizer", "evolution", "--predictor-checkpoint", "predictor", "--latency", tiny_zoo,
        "--solver", solver, "--length", 9, "--budget", 8, "--evaluations", 30, "--output", "searched",
    )  # fmt: skip
    X = read_schedules("searched/final_population.pth", benchmark.space)
    assert benchmark.space.latency(X, benchmark.latency).max() <= 8

    scores = {}
    for name, options in {
        "zoo": ["--zoo", tiny_zoo, "--solver", solver],  # of digits, so scored by fd-digits
        "benchmark": ["--benchmark", "few"],
    }.items():
        run(
            "validate", "--population", "searched/final_population.pth", *options, "--top", 3, "--seed", 11,
            "--num-images", 8, "--final-images", 10, "--device", "cpu", "--output", f"{name}.json",
        )  # fmt: skip
        scores[name] = [row["score"] for row in json.loads(Path(f"{name}.json").read_text())["schedules"]]
    assert scores["zoo"] == pytest.approx(scores["benchmark"])
    assert scores["zoo"] == pytest.approx(benchmark.validate(X[:3], images=8, seeds=(11,)).scores[:, 0].tolist())

    run(
        "sample", "--zoo", tiny_zoo, "--schedule", "searched/best_schedule.pth", "--solver", solver, "-n", 8,
        "--seed", 11, "--metric", "fd-digits", "--device", "cpu", "--output", "score.json",
    )  # fmt: skip
    assert json.loads(Path("score.json").read_text())["score"] == pytest.approx(scores["zoo"][0])


def test_a_saved_predictor_tells_its_own_solver_and_length(tiny_zoo, tmp_path, monkeypatch):
    from omsdpm import DDIMSpace, ScheduleDataset

    monkeypatch.chdir(tmp_path)
    space = DDIMSpace(len(ModelZoo.load(tiny_zoo).members), 6)
    X = space.random(12, np.random.default_rng(0))
    ScheduleDataset(space, X, space.nfe(X) + 0.1 * np.arange(12)).write("d.parquet")
    write_population("p.pth", X, space)
    run("predictor", "fit", "--dataset", "d.parquet", "--predictor", "gp", "--output", "saved")
    search = ["run", "--predictor-checkpoint", "saved", "--latency", tiny_zoo, "--budget", 6, "--evaluations", 20]
    for more, expected in (
        (["--solver", "dpm-solver"], "predictor saved is for DDIMSpace(num_models=3, length=6)"),
        (["--length", 9], "leave --length out"),
        (["--predictor-config", "d.parquet"], "--predictor-config is for released checkpoints"),
    ):
        outcome = CliRunner().invoke(main, list(map(str, [*search, *more])))
        assert outcome.exit_code == 2 and expected in outcome.stderr
    run(*search, "--output", "out")
    assert read_schedules("out/best_schedule.pth", space).shape == (1, 6)
