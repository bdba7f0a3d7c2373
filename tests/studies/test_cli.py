"""The command as a whole: instant help, lists, one-line errors."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
import time

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from omsdpm.errors import InputError
from studies.cli import main
from studies.cli._describe import registered
from studies.cli._lazy import LazyGroup

HEAVY = ("torch", "pandas", "sklearn", "scipy", "matplotlib", "diffusers", "pymoo", "optuna", "xgboost")

PROBE = f"""
import sys
import time
from studies.cli import main
try:
    main(sys.argv[1:], prog_name="omsdpm-bench")
except SystemExit as end:
    code = end.code
loaded = [name for name in {HEAVY!r} if name in sys.modules]
print("loaded:", loaded, file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "args",
    [
        ["--help"], ["--version"], ["list"], ["run", "--help"], ["zoo", "--help"], ["zoo", "train", "--help"],
        ["predictor", "compare", "--help"], ["leaderboard", "verify", "--help"], ["report", "--help"],
    ],
)  # fmt: skip
def test_light_commands_import_nothing_heavy(args):
    outcome = subprocess.run([sys.executable, "-c", PROBE, *args], capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stderr.splitlines()[-1] == "loaded: []"


def test_list_describes_what_is_registered():
    outcome = CliRunner().invoke(main, ["list"])
    assert outcome.exit_code == 0
    for title in ("benchmarks", "predictors", "optimizers"):
        assert title in outcome.output.splitlines()
    for group in ("omsdpm.predictors", "omsdpm.optimizers"):
        for entry in registered(group):
            assert entry.summary, f"{entry.name} has no description"
            assert f"  {entry.name} " in outcome.output and entry.summary in outcome.output


def test_descriptions_are_read_without_importing(tmp_path, monkeypatch):
    (tmp_path / "thirdparty.py").write_text('class Made:\n    """One line.\n\n    More."""\n\nraise RuntimeError\n')
    info = tmp_path / "thirdparty-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[some.group]\nmade = thirdparty:Made\ngone = absent.module:Thing\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert [(entry.name, entry.summary) for entry in registered("some.group")] == [("gone", ""), ("made", "One line.")]


@pytest.mark.parametrize(
    "args, expected",
    [
        (["rum"], "unknown command 'rum'; choose one of: run, "),
        (["zoo", "trian"], "unknown command 'trian'; choose one of: train, "),
        (["zoo", "train", "absent.toml", "--output", "out"], "cannot read absent.toml"),
        (["zoo", "profile", "absent"], "absent"),
    ],
)
def test_bad_input_is_one_line(args, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = CliRunner().invoke(main, args)
    assert outcome.exit_code == 2
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("Error: ") and expected in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("args", [["run", "--evaluations", "0"], ["run", "--device", "tpu"], ["run", "--bugdet", "3"]])
def test_usage_errors_exit_with_two(args):
    outcome = CliRunner().invoke(main, args)
    assert outcome.exit_code == 2 and outcome.stdout == ""


def test_an_error_of_many_lines_is_told_in_one(monkeypatch):
    @click.command()
    def fail():
        raise InputError("first\nsecond")

    group = LazyGroup("group", lazy={"fail": "unused:fail"})
    monkeypatch.setattr(group, "get_command", lambda ctx, name: fail)
    outcome = CliRunner().invoke(group, ["fail"])
    assert (outcome.exit_code, outcome.stderr) == (2, "Error: first second\n")


def test_bugs_keep_their_traceback(monkeypatch):
    import studies.cli._describe

    def broken(group):
        raise ZeroDivisionError

    monkeypatch.setattr(studies.cli._describe, "registered", broken)
    assert isinstance(CliRunner().invoke(main, ["list"]).exception, ZeroDivisionError)


def test_info_prints_the_card_and_draws_the_landscape(tiny, tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    outcome = CliRunner().invoke(main, ["info", "tiny"])
    assert outcome.exit_code == 0, outcome.output
    assert f"{tiny.space.cardinality:,}" in outcome.stdout and "fd-pixels" in outcome.stdout
    with Image.open("tiny-landscape.png") as image:
        assert image.width > 600
    assert CliRunner().invoke(main, ["info", "tiny", "--no-plot", "--output", "none.png"]).exit_code == 0
    assert not (tmp_path / "none.png").exists()
    unknown = CliRunner().invoke(main, ["info", "tinny"])
    assert unknown.exit_code == 2 and "choose one of: tiny, " in unknown.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp932", "latin-1"])
def test_what_a_terminal_cannot_encode_is_written_otherwise(tmp_path, encoding):
    """Paths of users may have any letters; their last line must not cost them the work."""
    name = "größe-表-é"
    outcome = subprocess.run(
        [sys.executable, "-m", "studies.cli", "info", name],
        env={**os.environ, "PYTHONIOENCODING": f"{encoding}:strict"}, capture_output=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert outcome.returncode == 2
    assert b"UnicodeEncodeError" not in outcome.stderr
    assert outcome.stderr.startswith(b"Error: ")


def test_brackets_are_no_markup():
    """Nor in the title of a progress bar, whose console has a terminal."""
    from studies.cli import _console

    file = io.StringIO()
    reporter = _console.Reporter()
    reporter._progress = Console(file=file, force_terminal=True, width=100)
    with reporter.part("Training member [v2] of [/b]") as step:
        step(1, 2)
    assert "Training member [v2] of [/b]" in file.getvalue()


def test_a_full_disk_is_one_line(monkeypatch):
    def full(self, ctx):
        raise OSError(errno.ENOSPC, "No space left on device", "out/result.json")

    monkeypatch.setattr(click.Group, "invoke", full)
    outcome = CliRunner().invoke(main, ["list"])
    assert outcome.exit_code == 2
    assert outcome.stderr == "Error: cannot write out/result.json: no space left; make room, what is there is kept\n"


@pytest.mark.parametrize(
    ("words", "goes_on"), [(["dataset", "build", "b"], True), (["zoo", "train", "r", "--output", "z"], True),
                           (["dataset", "estimate", "b"], False), (["info", "b"], False)],
)  # fmt: skip
def test_a_stopped_command_says_whether_it_goes_on(monkeypatch, words, goes_on):
    usual = click.Command.invoke

    def stop(self, ctx):
        if isinstance(self, click.Group):
            return usual(self, ctx)
        raise KeyboardInterrupt

    monkeypatch.setattr(click.Command, "invoke", stop)
    outcome = CliRunner().invoke(main, words)
    assert outcome.exit_code == 1
    more = " What is done is kept: give the same command again to go on." if goes_on else ""
    assert outcome.stderr.strip() == f"Stopped.{more}"


def test_a_long_part_says_how_far_it_is_where_there_is_no_terminal(monkeypatch):
    from studies.cli import _console

    monkeypatch.setattr(_console, "EVERY", 0.05)
    file = io.StringIO()
    reporter = _console.Reporter()
    reporter._progress = Console(file=file, width=30)
    with reporter.part("Sampling [v2]") as step:
        time.sleep(0.12)
        step(1200, 30000)
        time.sleep(0.12)
    first, *more, last = file.getvalue().splitlines()
    # However slow the machine is.
    assert re.match(r"Sampling \[v2\]: after \d s", first)
    assert re.match(r"Sampling \[v2\]: 1,200 of 30,000 after \d s", more[-1])
    assert re.fullmatch(r"Sampling \[v2\]: \d\.\d s", last) and float(last.split()[-2]) >= 0.2
    time.sleep(0.12)
    assert file.getvalue().splitlines()[-1] == last  # nothing is said of what is over


def test_a_short_part_says_its_time_alone():
    from studies.cli import _console

    file = io.StringIO()
    reporter = _console.Reporter()
    reporter._progress = Console(file=file, width=100)
    with reporter.part("Loading"):
        pass
    assert file.getvalue() == "Loading: 0.0 s\n"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_numbers_are_whole_at_any_width(width):
    from rich.table import Table

    from studies.cli import _console

    table = Table(title="digits-ddim", caption="Lower is better.")
    names = [f"column\n{letter}" for letter in "abcdefgh"]
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("schedule", overflow="fold")
    numbers = [[f"{row + 1}{column}345.67890" for column in range(8)] for row in range(3)]
    for row in numbers:
        table.add_row(*row, "012" * 12)
    file = io.StringIO()
    _console.Results(file=file, width=width).print(table)
    written = file.getvalue()
    assert all(number in written for row in numbers for number in row)
    assert "…" not in written
    assert all(len(line) <= width for line in written.splitlines())
    if width >= 40:
        assert ("column a: 10345.67890" in written) == (width < 200)


def test_a_runs_tables_are_whole_at_40_columns(monkeypatch, tmp_path):
    from studies.cli import _console

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_console, "WIDTH", 40)
    args = ["run", "--benchmark", "digits-tab", "--predictor", "ridge", "--optimizer", "random", "--evaluations", "200"]
    outcome = CliRunner().invoke(main, [*args, "--no-validate", "--output", "out"])
    assert outcome.exit_code == 0, outcome.output
    assert "…" not in outcome.stdout
    for winner in json.loads((tmp_path / "out" / "result.json").read_text())["winners"]:
        assert f"predicted score: {winner['predicted_score']:.3f}" in outcome.stdout
        assert f"latency (ms): {winner['latency_frozen_ms']:.2f}" in outcome.stdout


@pytest.mark.parametrize("command", ["sample", "validate", "search"])
def test_help_says_that_reference_folders_are_resized(command):
    outcome = CliRunner().invoke(main, [command, "--help"])
    assert "a folder, which is resized to the zoo's images" in " ".join(outcome.stdout.split())
