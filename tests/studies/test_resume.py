"""Runs that were stopped go on, and end as undisturbed ones do."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from omsdpm.files import locked
from studies.cli import main
from studies.jobs.run import RunSettings, run
from studies.jobs.run import report as report_module
from studies.jobs.run.folder import KEPT, LOCK
from studies.records.appended import AppendedCSV

FAST = ["--benchmark", "tiny", "--optimizer", "random", "--predictor", "gbdt[trees=20]", "--evaluations", "200"]
FAST += ["--seeds", "3", "--budget", "4", "--budget", "8"]


def cli(*args: Any) -> Result:
    return CliRunner().invoke(main, ["run", *map(str, args)])


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def content(folder: Path) -> dict[str, Any]:
    """All of a run folder but for timings: the result, and the bytes of the other files."""
    result = json.loads((folder / "result.json").read_text())
    for name in ("seconds", "when", "leaderboard"):
        del result[name]
    del result["settings"]["output"], result["settings"]["leaderboard"]
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".csv", ".pth", ".png")}
    return {"result": result, **files}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def whole(tiny, here):
    """What an undisturbed run leaves, and its rows."""
    outcome = cli(*FAST, "--output", "whole", "--leaderboard", "whole.csv")
    assert outcome.exit_code == 0, outcome.output
    tiny.validated.clear()
    tiny.raced.clear()
    return content(here / "whole"), rows(here / "whole.csv")


class Stop:
    """Lets a function be called so many times, and stops the run at the next."""

    def __init__(self, patch: pytest.MonkeyPatch, thing: Any, name: str, after: int = 0) -> None:
        self.left = after
        real = getattr(thing, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return real(*args, **kwargs)

        patch.setattr(thing, name, call)


def stops(tiny: Any) -> dict[str, tuple[Any, str, int]]:
    from studies.jobs.run import job
    from studies.jobs.run.result import RunResult
    from studies.records.leaderboard import Leaderboard

    return {
        "fit": (job, "fit", 0),
        "search": (report_module, "search_twice", 0),
        "race": (tiny, "contest", 0),
        "report": (tiny, "_scores", 2 + 2 + 1),  # two rounds of two seeds, and a seed of the report
        "files": (report_module, "write_plot", 0),
        "result": (RunResult, "write", 0),
        "leaderboard": (Leaderboard, "add", 0),
    }


@pytest.mark.parametrize("stage", ["fit", "search", "race", "report", "files", "result", "leaderboard"])
@pytest.mark.parametrize("by", ["command", "resume"])
def test_a_run_that_was_stopped_ends_as_an_undisturbed_one(tiny, here, whole, stage, by):
    with pytest.MonkeyPatch.context() as patch:
        Stop(patch, *stops(tiny)[stage])
        stopped = cli(*FAST, "--output", "out")
    assert stopped.exit_code == 1
    assert "Stopped. What is done is kept: `omsdpm-bench run --resume out` goes on." in stopped.stderr
    assert (here / "out" / "result.json").exists() == (stage == "leaderboard")
    again = cli(*FAST, "--output", "out") if by == "command" else cli("--resume", "out")
    assert again.exit_code == 0, again.output
    result, board = whole
    assert content(here / "out") == result
    assert without(rows(here / "leaderboard.csv")) == without(board)
    assert not (here / "out" / KEPT).exists()


def without(board: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{key: value for key, value in row.items() if key != "when"} for row in board]


def test_what_is_kept_is_not_made_again(tiny, here, whole):
    """A run that was stopped in the report after one of three seeds samples the other two, and fits nothing."""
    with pytest.MonkeyPatch.context() as patch:
        Stop(patch, report_module, "write_pareto")
        assert cli(*FAST, "--output", "out").exit_code == 1
    (here / "out" / KEPT / "seed-3002.npz").unlink()
    tiny.validated.clear()
    tiny.raced.clear()
    with pytest.MonkeyPatch.context() as patch:
        for thing, name, _ in [stops(tiny)[stage] for stage in ("fit", "search", "race")]:
            Stop(patch, thing, name)  # none of these is called
        again = cli(*FAST, "--output", "out")
    assert again.exit_code == 0, again.output
    assert [(images, seeds) for _, images, seeds in tiny.validated] == [(96, (3002,))]
    assert content(here / "out") == whole[0]


def test_rounds_of_a_race_are_kept(tiny, here, whole):
    """The first round's scores are taken as they were; the next one samples those that went on."""
    with pytest.MonkeyPatch.context() as patch:
        Stop(patch, report_module, "validate")
        assert cli(*FAST, "--output", "out").exit_code == 1
    path = here / "out" / KEPT / "race.json"
    race = json.loads(path.read_text())
    assert [entry["images"] for entry in race["rounds"]] == sorted(entry["images"] for entry in race["rounds"])
    assert len(race["rounds"]) > 1
    race["rounds"] = race["rounds"][:1]
    path.write_text(json.dumps(race))
    assert cli(*FAST, "--output", "out").exit_code == 0
    assert content(here / "out") == whole[0]


@pytest.mark.parametrize("name", ["search.npz", "race.json", "seed-3001.npz", "seconds.json", "predictor"])
def test_a_kept_part_that_a_machine_that_stopped_emptied_is_made_again(tiny, here, whole, name):
    with pytest.MonkeyPatch.context() as patch:
        Stop(patch, report_module, "write_pareto")
        assert cli(*FAST, "--output", "out").exit_code == 1
    path = here / "out" / KEPT / name
    for file in path.iterdir() if path.is_dir() else [path]:
        file.write_bytes(b"")
    again = cli(*FAST, "--output", "out")
    assert again.exit_code == 0, again.output
    assert content(here / "out") == whole[0]


def test_the_same_command_on_a_finished_run_shows_it_and_adds_no_row(tiny, here):
    first = cli(*FAST, "--output", "out")
    board = (here / "leaderboard.csv").read_bytes()
    stamp = (here / "out" / "result.json").stat().st_mtime_ns
    tiny.validated.clear()
    again = cli(*FAST, "--output", "out")
    assert again.exit_code == 0
    assert "out has this run's results: nothing is made again" in again.stdout
    assert first.stdout.partition("tiny: ")[2] == again.stdout.partition("tiny: ")[2]  # the tables
    assert tiny.validated == [] and (here / "out" / "result.json").stat().st_mtime_ns == stamp
    assert (here / "leaderboard.csv").read_bytes() == board


@pytest.mark.parametrize(
    "more, message",
    [
        (["--seeds", "2"], "--seeds was 3, is 2"),
        (["--predictor", "ridge"], "--predictor was gbdt[trees=20], is ridge"),
        (["--budget", "16"], "--budget was 4.0, 8.0, is 4.0, 8.0, 16.0"),
        (["--seeds", "2", "--top", "4"], "--top was 10, is 4; --seeds was 3, is 2"),
    ],
)
def test_a_folder_of_other_settings_is_refused_and_says_what_differs(tiny, here, more, message):
    assert cli(*FAST, "--output", "out").exit_code == 0
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    outcome = cli(*FAST, *more, "--output", "out")
    assert outcome.exit_code == 2
    line = outcome.stderr.strip().splitlines()[-1]
    assert line.startswith("Error: output folder out is of another run (") and message in line
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_a_folder_of_other_data_or_versions_is_refused(tiny, here, monkeypatch):
    with pytest.MonkeyPatch.context() as patch:
        Stop(patch, report_module, "validate")
        assert cli(*FAST, "--output", "out").exit_code == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "data_hash", "other")
        assert "data was 0123abcd, is other" in cli(*FAST, "--output", "out").stderr
    from studies.jobs.run import folder

    real = folder.package_version
    monkeypatch.setattr(folder, "package_version", lambda name: "9" if name == "xgboost" else real(name))
    assert f"version of xgboost was {real('xgboost')}, is 9" in cli(*FAST, "--output", "out").stderr


def test_two_runs_with_one_output(tiny, here):
    (here / "out").mkdir()
    with locked(here / "out" / LOCK):
        outcome = cli(*FAST, "--output", "out")
    assert outcome.exit_code == 2
    (line,) = outcome.stderr.strip().splitlines()[-1:]
    assert line == "Error: a run is writing to out: wait for it, or name another --output"
    assert [path.name for path in (here / "out").iterdir()] == [LOCK]
    assert cli(*FAST, "--output", "out").exit_code == 0


def test_resume_takes_no_other_option_and_needs_a_run(tiny, here):
    (here / "empty").mkdir()
    for args, message in [
        (["--resume", "empty"], "no run in empty: it has no run.json"),
        (["--resume", "none"], "no run in none"),
        (["--resume", "empty", "--seeds", "2"], "--resume goes on with what empty says: leave --seeds out"),
    ]:
        outcome = cli(*args)
        assert outcome.exit_code == 2 and message in outcome.stderr
        assert len(outcome.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "run.json is damaged"),
        ("{}", "run.json is damaged: it says no format"),
        ('{"format": 99}', "has format 99, this version reads 1: update omsdpm"),
        ('{"format": 1, "kind": "run"}', "is damaged: it lacks run, when, settings, asked"),
    ],
)
def test_a_damaged_or_newer_run_is_told_in_a_line(tiny, here, text, message):
    (here / "out").mkdir()
    (here / "out" / "run.json").write_text(text)
    for args in ([*FAST, "--output", "out"], ["--resume", "out"]):
        outcome = cli(*args)
        assert outcome.exit_code == 2 and message in outcome.stderr
        assert len([line for line in outcome.stderr.splitlines() if line.startswith("Error")]) == 1


def test_the_id_is_of_what_results_depend_on(tiny, here):
    """Not of the folder or the leaderboard; equal runs of two folders say the same and are one on a leaderboard."""

    def id_of(**more: Any) -> str:
        settings = {"benchmark": tiny, "predictor": "ridge", "evaluations": 50, "seeds": 1, "budgets": (8.0,), **more}
        return run(RunSettings(**settings)).run_id

    first = id_of(output="a")
    assert len(first) == 16 and int(first, 16) >= 0
    assert id_of(output="b") == first
    assert len(rows(here / "leaderboard.csv")) == 1
    assert id_of(output="c", leaderboard="other.csv") == first
    assert id_of(output="d", seed=1) != first
    assert len(rows(here / "leaderboard.csv")) == 2
    assert {row["run"] for row in rows(here / "leaderboard.csv")} > {first}


def test_an_active_run_goes_on_and_grows(tiny, here):
    args = ["--benchmark", "tiny", "--active", "--optimizer", "random", "--evaluations", "100", "--budget", "8"]
    args += ["--seeds", "1", "--predictor", "ridge"]
    assert cli(*args, "--labels", "25", "--output", "whole", "--leaderboard", "w.csv").exit_code == 0
    with pytest.MonkeyPatch.context() as patch:
        Stop(patch, tiny, "evaluate", 1)
        assert cli(*args, "--labels", "25", "--output", "out").exit_code == 1
    assert cli("--resume", "out").exit_code == 0
    assert content(here / "out") == content(here / "whole")
    for labels, code in ((25, 0), (30, 0), (25, 2)):
        outcome = cli(*args, "--labels", labels, "--output", "out")
        assert outcome.exit_code == code, outcome.output
    assert "--labels was 30, is 25" in outcome.stderr
    assert len({row["run"] for row in rows(here / "leaderboard.csv")}) == 2


def test_rows_that_are_told_by_some_columns_are_appended_once(tmp_path):
    table = AppendedCSV(tmp_path / "t.csv", ("run", "n", "score"))
    table.append([{"run": "=a", "n": 1, "score": 2}], once=("run", "n"))
    table.append([{"run": "=a", "n": 1, "score": 3}, {"run": "=a", "n": 2, "score": 4}], once=("run", "n"))
    table.append([{"run": "=a", "n": 1, "score": 3}])
    assert [(row["run"], row["n"], row["score"]) for row in table.rows()] == [
        ("=a", "1", "2"), ("=a", "2", "4"), ("=a", "1", "3"),
    ]  # fmt: skip


def test_a_predictor_that_cannot_be_saved_is_fitted_again(tiny, here, whole):
    from predictors.gbdt import GBDTPredictor

    class Own(GBDTPredictor):
        pass

    settings = {"benchmark": tiny, "predictor": Own(trees=20), "optimizer": "random", "evaluations": 200, "seeds": 3}
    settings |= {"budgets": (4.0, 8.0), "output": "out"}
    with pytest.MonkeyPatch.context() as patch:
        Stop(patch, report_module, "validate")
        with pytest.raises(KeyboardInterrupt):
            run(RunSettings(**settings))
    assert not (here / "out" / KEPT / "predictor").exists()
    result = run(RunSettings(**settings))
    assert [winner.schedule for winner in result.winners] == [
        tuple(winner["schedule"]) for winner in whole[0]["result"]["winners"]
    ]


def test_a_run_below_runs_says_how_it_goes_on(tiny, here):
    with pytest.MonkeyPatch.context() as patch:
        Stop(patch, report_module, "validate")
        stopped = cli(*FAST)
    (folder,) = (here / "runs").iterdir()
    assert f"`omsdpm-bench run --resume runs{os.sep}{folder.name}` goes on" in stopped.stderr
    assert cli("--resume", f"runs/{folder.name}").exit_code == 0
    assert np.array_equal(len(rows(here / "leaderboard.csv")), 6)
