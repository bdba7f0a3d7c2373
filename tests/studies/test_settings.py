"""Settings: a field declared once is option, JSON and command line; and every job's go around."""

from __future__ import annotations

import importlib
import json
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from omsdpm.errors import InputError
from studies import make_optimizer
from studies.cli import main
from studies.cli._settings import TopicCommand, click_options, given_settings
from studies.jobs.compare import CompareSettings
from studies.jobs.confirm import ConfirmSettings
from studies.jobs.dataset_build import BuildSettings
from studies.jobs.dataset_import import ImportSettings
from studies.jobs.designs import DesignsSettings
from studies.jobs.estimate import EstimateSettings
from studies.jobs.evaluate import EvaluateSettings
from studies.jobs.export import ExportSettings
from studies.jobs.fit import FitSettings
from studies.jobs.fresh import FreshSettings
from studies.jobs.leaderboard import LeaderboardSettings
from studies.jobs.leaderboard_verify import VerifySettings
from studies.jobs.naming import predictor_of, short_name, text_of
from studies.jobs.report import ReportSettings
from studies.jobs.run import RunSettings
from studies.jobs.sample import SampleSettings
from studies.jobs.search import SearchSettings
from studies.jobs.settings import Settings, option
from studies.jobs.study import StudySettings
from studies.jobs.validate import ValidateSettings

JOBS = [
    RunSettings(),
    RunSettings(
        benchmark="my folder/b", optimizer="nsga2[population=100]", predictor="lstm[updates=800]", train_size=100,
        metric="fid[weights=a b.pth]", budgets=(0.1 + 0.2, 1e6), evaluations=7, seed=3, seeds=5, validate_images=20,
        validated=False, device="cpu",
    ),
    RunSettings(predictor_checkpoint="p.pth", latency="l.pth", budgets=(4000.0,), solver="ddim", length=100,
                predictor_config="c.yml", optimizer="evolution"),
    SampleSettings(zoo="z", schedule="s.pth", fid=True, stats="x.npz", eta=0.3, row=2, label="random"),
    SampleSettings(zoo="z", schedule="s.pth", images="out dir", noise="n.npy", num_images=3, batch_size=2),
    ValidateSettings(population="p.pth", zoo="z", metric="fid[weights=w.pth]", stats="s.npz", spacing="time_uniform"),
    ValidateSettings(population="p.pth", benchmark="digits-ddim", final_images=0, seed=7, output="v.json"),
    CompareSettings(output="out"),
    CompareSettings(output="out", predictors=("gp", "lstm[updates=8,networks=2]"), train_sizes=(50, 100), seeds=1),
    FitSettings(dataset="d.parquet", output="o"),
    FitSettings(dataset="d.pth", output="o", predictor="gbdt[trees=3]", parameters=("depth=2", "objective=ranking"),
                train_ratio=0.25, solver="dpm-solver", members=6, latency="l.pth", seed=1),
    EvaluateSettings(dataset="d", predictor_folder="p", members=3, output="r.json"),
    EstimateSettings(folder="b", schedules=100, deadline=1.5, shard_size=7, seed=3),
    BuildSettings(folder="b", executor="dask", scheduler="tcp://h:1", jobs=3, metric="fid[weights=w.pth]"),
    ImportSettings(path="d.pth", output="o.parquet", solver="ddim", latency="l.pth"),
    RunSettings(active=True, labels=40, budgets=(8.0,), kappa=0.5, top=3),
    SearchSettings(zoo="my zoo", reference="images", budgets=(300.0, 450.0), labels=60, metric="kid"),
    ConfirmSettings(run="runs/r", seeds=2, first_seed=9),
    FreshSettings(),
    FreshSettings(predictors=("gp[samples=3]",), seeds=1),
    DesignsSettings(predictor="gbdt", evaluations=100, output="d.json"),
    LeaderboardSettings(files=("a b.csv", "verify")),
    ReportSettings(runs=("runs/a", "runs/b"), html="r.html", title="One & two"),
    ExportSettings(schedule="runs/r", to="json", budget=300.0, zoo="my zoo", output="s.json"),
    VerifySettings(file="b.csv", rows=2, seed=3, tolerance=0.5, device="cpu"),
    CompareSettings(output="out", dataset="d.pth", solver="ddim", members=6, latency="l.pth"),
    StudySettings(),
    StudySettings(benchmarks=("digits-tab", "my folder/b"), optimizers="nsga2,tpe[batch=8,startup=9]", seeds=3,
                  predictors=("oracle",), budgets=(150.0, 0.1), targets=(0.5,), validated=True, jobs=2),
]  # fmt: skip
"""Settings of every job."""


def parsed(kind: type[Settings], words: list[str]) -> Settings:
    """What the installed command makes of a command line."""
    command: click.Command = main
    for word in kind.words:
        command = command.get_command(click.Context(command), word)
    rest = words[1 + len(kind.words) :]
    with command.make_context(kind.words[-1], rest) as ctx:
        return given_settings(kind, ctx)


@pytest.mark.parametrize("settings", JOBS, ids=lambda settings: settings.command()[:60])
def test_settings_go_through_json_and_through_their_command(settings):
    kind = type(settings)
    assert kind.from_dict(json.loads(json.dumps(settings.as_dict()))) == settings
    words = shlex.split(settings.command())
    assert words[: 1 + len(kind.words)] == ["omsdpm-bench", *kind.words]
    assert parsed(kind, words) == settings
    assert kind.from_dict(settings.as_dict()).command() == settings.command()


def test_every_job_has_settings_that_go_around():
    rooms = [path.parent.name for path in Path(importlib.import_module("studies.jobs").__path__[0]).glob("*/job.py")]
    assert {type(settings).__module__.split(".")[2] for settings in JOBS} == set(rooms)


def test_an_option_is_declared_in_one_place():
    class WithOneMore(RunSettings):
        """A run with one thing more."""

        patience: int = option(7, ge=1, topic="Search", help="Rounds without progress.")

    @click.command(cls=TopicCommand, help=WithOneMore.__doc__)
    @click_options(WithOneMore)
    def run(settings):
        click.echo(json.dumps(settings.as_dict()))

    shown = CliRunner().invoke(run, ["--help"]).output
    assert "--patience INTEGER RANGE" in shown and "Rounds without progress." in shown
    assert json.loads(CliRunner().invoke(run, ["--patience", "9"]).output)["patience"] == 9
    assert WithOneMore().as_dict()["patience"] == 7
    assert "--patience 9" in WithOneMore(patience=9).command()
    assert WithOneMore.from_dict(WithOneMore(patience=9).as_dict()).patience == 9
    with pytest.raises(InputError, match="--patience 0: input should be greater than or equal to 1"):
        WithOneMore(patience=0)


def test_results_go_to_a_new_place_when_a_run_is_repeated():
    assert RunSettings(output="there", leaderboard="board.csv").command() == RunSettings().command()


def test_a_flag_that_turns_something_off():
    assert "--no-validate" in RunSettings(validated=False).command()
    assert "validate" not in RunSettings().command()
    assert parsed(RunSettings, ["omsdpm-bench", "run", "--no-validate"]).validated is False


@pytest.mark.parametrize(
    "kind, given, expected",
    [
        (RunSettings, {"evaluations": 0}, "--evaluations 0: input should be greater than or equal to 1"),
        (RunSettings, {"budgets": ("low",)}, "--budget low: input should be a valid number"),
        (RunSettings, {"device": "tpu"}, "unknown device 'tpu'; choose one of: "),
        (RunSettings, {"evalutions": 3}, "unknown setting of run 'evalutions'; choose one of: evaluations"),
        (RunSettings, {"latency": "l.pth"}, "--latency is for a search without a benchmark"),
        (RunSettings, {"predictor_checkpoint": "p", "latency": "l", "budgets": (1,), "seeds": 3}, "--seeds with"),
        (SampleSettings, {"zoo": "z"}, "--schedule is lacking: A run folder or result.json"),
        (SampleSettings, {"zoo": "z", "schedule": "s", "images": "i", "eta": 2}, "--eta 2: input should be less"),
        (CompareSettings, {"output": "o", "predictors": "a,,b"}, "--predictor 'a,,b': expected values with a comma"),
        (FitSettings, {"dataset": "d", "output": "o", "parameters": ("x",)}, "--set x: expected NAME=VALUE"),
        (EstimateSettings, {}, "FOLDER is lacking: The benchmark's folder."),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_option(kind, given, expected):
    with pytest.raises(InputError) as raised:
        kind(**given)
    assert expected in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "args, expected",
    [
        (["run", "--evaluations", "many"], "Invalid value for '--evaluations': 'many' is not a valid integer"),
        (["run", "--solver", "dim"], "Invalid value for '--solver': 'dim' is not one of 'ddim', "),
        (["run", "--bugdet", "3"], "No such option '--bugdet'"),
        (["sample", "--zoo", "z"], "Missing option '--schedule'"),
        (["dataset", "build"], "Missing argument 'FOLDER'"),
        (["predictor", "fit", "--train-ratio", "0"], "'--train-ratio': 0.0 is not in the range 0<x<=1"),
        (["confirm", "nowhere"], "cannot read nowhere/result.json: No such file or directory"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_one_line(args, expected):
    outcome = CliRunner().invoke(main, args)
    assert outcome.exit_code == 2 and outcome.stdout == ""
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("Error: ") and expected in line


def test_settings_cannot_be_changed():
    with pytest.raises(Exception, match="frozen"):
        RunSettings().seed = 3


def test_objects_are_told_by_the_names_that_they_are_registered_under(tiny):
    from predictors.gbdt import GBDTPredictor
    from predictors.gp.predictor import GPPredictor

    settings = RunSettings(
        benchmark=tiny, predictor=GBDTPredictor(trees=20, random_state=4), optimizer=make_optimizer("tpe")
    )
    assert settings.as_dict()["benchmark"] == "tiny"
    assert settings.as_dict()["predictor"] == "gbdt[trees=20]"
    assert "--optimizer tpe" in settings.command() and "--predictor 'gbdt[trees=20]'" in settings.command()
    assert text_of(make_optimizer("nsga2", population=100)) == "nsga2[population=100]"
    assert text_of(GPPredictor()) == "gp" and short_name("lstm[updates=3]") == "lstm"

    class Own(GPPredictor):
        pass

    assert text_of(Own()).endswith("Own")


def test_a_predictor_object_is_copied_and_told_the_problem(tiny):
    from predictors.gbdt import GBDTPredictor

    given = GBDTPredictor(trees=20)
    made = predictor_of(given, tiny, seed=3)
    assert made is not given and given.space is None
    assert (made.trees, made.space, made.random_state) == (20, tiny.space, 3)
    assert made.get_params() == predictor_of("gbdt[trees=20]", tiny, seed=3).get_params()
    with pytest.raises(InputError, match="expected name"):
        predictor_of(3, tiny, seed=0)
    with pytest.raises(InputError, match="unknown parameter of predictor 'gbdt' 'random_state'"):
        predictor_of("gbdt[random_state=3]", tiny, seed=0)


def test_a_field_without_option_is_a_bug_that_shows_at_once():
    class Wrong(Settings):
        """Lacks an option."""

        count: Any = 3

    with pytest.raises((AssertionError, TypeError)):
        Wrong.options()
