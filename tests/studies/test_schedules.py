"""Schedules from run folders, CSVs, leaderboards, files and the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from omsdpm import InputError
from omsdpm.released import write_population
from omsdpm.solvers import SolverOptions
from studies.cli import main
from studies.jobs.run import RunResult, RunSettings, run
from studies.jobs.schedules import read_source


@pytest.fixture
def result(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = RunSettings(
        benchmark="tiny", predictor="ridge", optimizer="random", evaluations=60, budgets=(4.0, 8.0), seeds=2, top=2,
        validate_images=8, race_images=8, output="out", leaderboard="board.csv",
    )  # fmt: skip
    return run(settings)


def test_a_typed_schedule(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in ("3 0 3 2 0", "3,0,3,2,0", " 3, 0, 3, 2, 0 "):
        assert read_source(text).one().X.tolist() == [[3, 0, 3, 2, 0]]


def test_all_files_of_a_run_say_its_winners(result):
    winners = [list(winner.schedule) for winner in result.winners]
    for source in ("out", "out/result.json", "out/winners.csv"):
        found = read_source(source)
        assert found.X.tolist() == winners and found.budgets == (4.0, 8.0)
        assert found.solver == "ddim" and found.timesteps == list(range(900, -1, -100))
        assert found.one(8.0).X.tolist() == [winners[1]]
        assert found.one(row=1).X.tolist() == [winners[1]]
    populations = read_source("out").within(4.0).populations
    assert [population.tolist() for population in populations] == [result.outcome.populations[0].tolist()]
    assert RunResult.read("out") == result


def test_what_was_exported_is_read_back(result, tiny_zoo):
    asked = ["export", "out", "--budget", "8", "--to", "json", "--zoo", str(tiny_zoo), "--output", "schedule.json"]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 0, done.output
    found = read_source("schedule.json")
    assert found.X.tolist() == [list(result.winners[1].schedule)] and found.solver == "ddim"
    assert (found.timesteps or list(range(900, -1, -100))) == list(range(900, -1, -100))
    table = json.loads(Path("schedule.json").read_text())
    Path("other.json").write_text(json.dumps({**table, "options": {**table["options"], "eta": 1.0}}))
    other = read_source("other.json")
    assert other.options("ddim") == SolverOptions(eta=1.0) and other.options("ddim", eta=0.5) == SolverOptions(eta=0.5)
    assert other.options("unipc") == SolverOptions()  # another solver than what is said is of
    Path("broken.json").write_text(json.dumps({**table, "schedule": [9]}))
    with pytest.raises(InputError, match=r"broken\.json"):
        read_source("broken.json")


def changed(result, **said):
    """The run's folder, whose problem says something else."""
    table = json.loads((result.folder / "result.json").read_text())
    table["benchmark"] |= said
    (result.folder / "result.json").write_text(json.dumps(table))


@pytest.mark.parametrize("command", ["sample", "validate"])
def test_a_run_is_sampled_with_the_options_it_was_searched_with(result, tiny_zoo, tmp_path, command):
    def score(*more):
        name = f"{len(list(tmp_path.glob('score*.json')))}"
        given = (
            ["sample", "--schedule", "out", "--metric", "fd-digits", "-n", "12"]
            if command == "sample"
            else ["validate", "--population", "out", "--num-images", "12", "--final-images", "0", "--top", "5"]
        )
        asked = [*given, "--zoo", str(tiny_zoo), "--budget", "8", "--output", f"score{name}.json", *more]
        done = CliRunner().invoke(main, asked)
        assert done.exit_code == 0, done.output
        table = json.loads((tmp_path / f"score{name}.json").read_text())
        scores = [table] if command == "sample" else table["schedules"]
        return [one["score"] for one in scores], done.output

    usual, output = score()
    assert "as in" not in output
    changed(result, t_end=0.001)
    early, output = score()
    assert early != usual and "as in out/result.json: t_end 0.001" in " ".join(output.split())
    changed(result, t_end=None, eta=1.0)
    noisy, output = score()
    assert noisy not in (usual, early) and "eta 1.0" in output
    if command == "sample":
        assert score("--eta", "0")[0] == usual
    changed(result, eta=0.0, guidance=3.0)
    done = CliRunner().invoke(main, ["sample", "--schedule", "out", "--budget", "8", "--zoo", str(tiny_zoo), "-n", "2",
                                     "--images", "images"])  # fmt: skip
    assert done.exit_code == 2 and "guidance" in done.output  # which nobody could have searched this zoo with


def test_options_that_are_none_are_one_line(result):
    changed(result, eta="much")
    with pytest.raises(InputError, match=r"out/result\.json: eta.*much"):
        read_source("out").options("ddim")
    for scale in ("much", True, -1.0, [2.0]):
        changed(result, guidance=scale)
        with pytest.raises(InputError, match=r"out/result\.json: guidance .*: expected a number, 0 or more"):
            _ = read_source("out").guidance


def test_a_leaderboard_row_is_that_of_its_budget(result):
    own = [list(winner.own.schedule) for winner in result.winners]
    found = read_source("board.csv")
    assert len(found.X) == 4 and set(found.benchmarks) == {"tiny"}
    assert found.one(4.0).X.tolist() == [own[0]]  # two rows, of two seeds, with one schedule
    with open("board.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert found.one(row=3).X.tolist() == [[int(member) for member in rows[3]["schedule"].split()]]


def test_members_of_a_subset_get_the_zoos_numbers(result):
    table = json.loads((result.folder / "result.json").read_text())
    members = [{"number": number, "name": str(number), "prediction_type": "epsilon"} for number in (2, 4, 5)]
    table["benchmark"]["zoo"] = {"name": "z", "folder": "z", "members": members}
    (result.folder / "result.json").write_text(json.dumps(table))
    found = read_source("out")
    assert np.array_equal(found.renumbered(5), np.array([0, 2, 4, 5])[found.X])


@pytest.mark.parametrize(
    "source, budget, row, message",
    [
        ("out", None, None, r"holds 2 schedules: choose one with --budget MS or --row"),
        ("out", 5.0, None, r"--budget 5: .* has schedules for 4, 8 ms"),
        ("out", None, 2, r"--row 2: .* holds 2 schedules"),
        ("1 0 2", 4.0, None, r"--budget 4: 1 0 2 says no budgets"),
        ("several.pth", None, None, r"several.pth holds 2 schedules: choose one with --row"),
        ("1 0 x", None, None, r"no schedule at '1 0 x': expected a run folder"),
        (".", None, None, r"has no result.json"),
        ("bad.csv", None, None, r"bad.csv: row 0 has 'one' for a schedule"),
        ("budget.csv", None, None, r"budget.csv: row 0 has '' for budget_ms"),
        ("uneven.csv", None, None, r"schedule 1 has 3 slots, schedule 0 has 2"),
        ("damaged/result.json", None, None, r"damaged"),
    ],
)
def test_what_is_no_schedule_is_one_line(result, tmp_path, source, budget, row, message):
    write_population("several.pth", [[1, 0, 0], [0, 0, 2]])
    (tmp_path / "bad.csv").write_text("budget_ms,schedule\n4,one\n")
    (tmp_path / "budget.csv").write_text("budget_ms,schedule\n,1 0\n")
    (tmp_path / "uneven.csv").write_text("budget_ms,schedule\n4,1 0\n8,1 0 2\n")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "result.json").write_text('{"format": 3, "kind": "run", "winners": [{}]}')
    with pytest.raises(InputError, match=message) as refused:
        read_source(source).one(budget, row)
    assert "\n" not in str(refused.value)
