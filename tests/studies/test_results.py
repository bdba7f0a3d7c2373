"""Results are read back equal, and files of other formats are refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import load_benchmark
from omsdpm import DDIMSpace, ScheduleDataset
from omsdpm.errors import InputError
from omsdpm.released import write_population, write_schedule
from predictors import Predictor
from studies.cli import main
from studies.jobs.compare import CompareSettings, Comparison, compare
from studies.jobs.confirm import ConfirmResult, ConfirmSettings, confirm
from studies.jobs.designs import DesignsResult, DesignsSettings, designs
from studies.jobs.estimate import EstimateResult, EstimateSettings, estimate
from studies.jobs.evaluate import EvaluateResult, EvaluateSettings, evaluate
from studies.jobs.fit import FitResult, FitSettings, fit
from studies.jobs.run import RunResult, RunSettings, run
from studies.jobs.sample import SampleResult, SampleSettings, sample
from studies.jobs.validate import ValidateResult, ValidateSettings, validate
from studies.paired import Paired

FAST = {"optimizer": "random", "predictor": "gbdt[trees=20]", "evaluations": 200, "device": "cpu"}


class Constant(Predictor):
    """Predicts the same for all schedules."""

    has_std: ClassVar[bool] = False

    def _learn(self, X, z, validation):
        self.level_ = 0.0

    def _score(self, X):
        return np.full(len(X), self.level_)

    def _state(self):
        return {"level": self.level_}, {}

    def _restore(self, values, arrays):
        self.level_ = values["level"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def dataset(here):
    """``d.parquet``: forty schedules of three members and eight slots."""
    space, rng = DDIMSpace(3, 8), np.random.default_rng(0)
    X = np.unique(space.random(40, rng), axis=0)
    ScheduleDataset(space, X, space.latency(X, [1, 2, 4]) + rng.random(len(X))).write("d.parquet")
    return Path("d.parquet")


# -- read back equal -----------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"validated": False}])
def test_a_run_is_read_back_equal(tiny, here, more):
    """Objects are taken as they are; what is read back names them."""
    result = run(RunSettings(benchmark=tiny, output="out", seeds=2, **FAST, **more))
    again = RunResult.read("out")
    assert again == result
    assert again.settings.benchmark == "tiny" and again.predictor == "gbdt[trees=20]"
    assert again.winners == result.winners and again.validation == result.validation
    np.testing.assert_array_equal(again.outcome.front, result.outcome.front)
    np.testing.assert_array_equal(again.outcome.front_scores, result.outcome.front_scores)
    for ours, theirs in zip(again.outcome.populations, result.outcome.populations, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert again.source.ranking == result.source.ranking
    assert again.settings.command() == result.settings.command()
    again.winners.pop()
    assert again != result


def test_a_run_with_parameters_says_them_everywhere(tiny, here):
    result = run(RunSettings(benchmark=tiny, output="out", seeds=1, **{**FAST, "optimizer": "nsga2[population=10]"}))
    table = json.loads(Path("out/result.json").read_text())
    assert table["predictor"]["name"] == "gbdt[trees=20]"
    assert table["search"]["optimizer"] == "nsga2[population=10]"
    (header, first, *_) = Path("leaderboard.csv").read_text().splitlines()
    row = dict(zip(header.split(","), first.split(","), strict=True))
    assert (row["optimizer"], row["predictor"]) == ("nsga2[population=10]", "gbdt[trees=20]")
    assert "--predictor 'gbdt[trees=20]'" in result.settings.command()
    default = run(RunSettings(benchmark=tiny, leaderboard="b.csv", seeds=1, **FAST))
    assert default.folder.name.startswith("tiny-random-gbdt-2")  # brackets are no part of a folder's name


def test_a_search_without_a_benchmark_is_read_back_equal(dataset):
    fit(FitSettings(dataset=dataset, predictor="gp", output="saved"))
    Path("zoo").mkdir()
    Path("zoo/latency.toml").write_text("ms = [1.0, 2.0, 4.0]\nbatch_size = 1\n")
    result = run(
        RunSettings(
            predictor_checkpoint="saved", latency="zoo", budgets=(9.0, 5.0), optimizer="random", evaluations=40,
            output="out",
        )
    )  # fmt: skip
    again = RunResult.read("out")
    assert again == result and again.budgets == [5, 9]
    assert again.validation is None and again.leaderboard is None
    assert again.source.sha256 == result.source.sha256
    assert {path.name for path in Path("out").glob("*.pth")} == {
        "final_population-5.pth", "final_population-9.pth", "best_schedule-5.pth", "best_schedule-9.pth",
    }  # fmt: skip


def test_fit_and_evaluate_are_read_back_equal(dataset):
    fitted = fit(FitSettings(dataset=dataset, predictor="gbdt", parameters=("trees=20",), output="saved"))
    assert FitResult.read("saved") == fitted
    assert fitted.predictor == "gbdt[trees=20]" and fitted.train_size == round(fitted.size / 2)
    judged = evaluate(EvaluateSettings(dataset=dataset, predictor_folder="saved", output="e.json"))
    assert EvaluateResult.read("e.json") == judged
    assert judged.left_out == fitted.train_size and judged.correlations == fitted.others


def test_sample_and_validate_are_read_back_equal(here, tiny_zoo):
    write_schedule("s.pth", [0, 3, 0, 2], DDIMSpace(3, 4))
    write_population("p.pth", [[2, 0, 1, 0], [0, 1, 0, 0]])
    common = {"zoo": tiny_zoo, "metric": "fd-digits", "solver": "ddim", "device": "cpu"}
    sampled = sample(SampleSettings(schedule="s.pth", num_images=8, output="s.json", **common))
    assert SampleResult.read("s.json") == sampled and sampled.score > 0
    validated = validate(ValidateSettings(population="p.pth", num_images=8, final_images=10, output="v.json", **common))
    again = ValidateResult.read("v.json")
    assert again == validated and again.best.images == 10 and again.order[0].row == again.best.row
    assert again.model_copy(update={"metric": "fid"}) != validated


RECIPE = """
name = "few"
summary = "For a test."
budgets = [8]
strategies = []
[measurement]
zoo = {zoo}
solver = "ddim"
length = 5
images = 8
seed = 1
[validation]
images = 8
seeds = [11, 12]
[[round]]
name = "drawn"
design = "random"
n = 12
splits = {{ train = 8, test = 2, elite = 2 }}
null = 0.5
"""


def test_an_estimate_is_read_back_equal(here, tiny_zoo):
    Path("few").mkdir()
    Path("few/benchmark.toml").write_text(RECIPE.format(zoo=json.dumps(str(tiny_zoo))))
    result = estimate(EstimateSettings(folder="few", deadline=1.0, output="e.json"))
    assert EstimateResult.read("e.json") == result
    assert (result.rounds[0].schedules, result.images, result.devices) == (12, 8, 1)
    assert result.total.evaluations <= result.total.one_by_one
    outcome = CliRunner().invoke(main, ["dataset", "estimate", "few", "--schedules", "24"])
    assert outcome.exit_code == 0 and "24" in outcome.stdout, outcome.output


def test_a_comparison_is_read_back_equal(tiny, here):
    result = compare(
        CompareSettings(benchmark=tiny, predictors=("gbdt[trees=5]",), train_sizes=(10,), seeds=1, output="out")
    )
    assert Comparison.read("out", "tiny") == result
    assert list(result.rows) == [("gbdt[trees=5]", 10, 0)]
    with pytest.raises(InputError, match="has no rows of digits-tab: run `omsdpm-bench predictor compare` first"):
        Comparison.read("out", "digits-tab")


def test_designs_are_compared_at_equal_cost(here):
    outcome = CliRunner().invoke(
        main,
        ["dataset", "designs", "--predictor", "ridge", "--evaluations", "600", "--seeds", "2", "--output", "d.json"],
    )
    assert outcome.exit_code == 0, outcome.output
    result = DesignsResult.read("d.json")
    assert [row.design for row in result.rows] == ["stratified", "tree", "refine", "mixture"]
    costs = load_benchmark("digits-ddim").dataset.extra["rounds"]
    each = costs["tree"]["evaluations"] / costs["tree"]["schedules"]
    tree = result.rows[1]
    assert tree.schedules == round(600 / each) and len(tree.test) == len(tree.elite) == 2
    assert all(-1 <= tau <= 1 for tau in (*tree.test, *tree.elite)) and f"{np.mean(tree.test):.3f}" in outcome.stdout


def test_designs_need_training_rounds_and_enough_evaluations(tiny, monkeypatch):
    monkeypatch.setattr(tiny, "table", {}, raising=False)
    with pytest.raises(InputError, match=r"tiny has no \[\[round\]\] for training"):
        designs(DesignsSettings(benchmark=tiny))
    with pytest.raises(InputError, match="--evaluations 1: too few for two schedules of stratified"):
        designs(DesignsSettings(evaluations=1, predictor="ridge"))


# -- confirm -------------------------------------------------------------------------


def test_winners_are_confirmed_on_seeds_that_nothing_has_seen(tiny, here):
    ran = run(RunSettings(benchmark=tiny, output="out", seeds=2, **FAST))
    tiny.validated.clear()
    outcome = CliRunner().invoke(main, ["confirm", "out", "--seeds", "3", "--first-seed", "99", "--output", "c.json"])
    assert outcome.exit_code == 0, outcome.output
    result = ConfirmResult.read("c.json")
    assert result.seeds == (99, 103, 104)  # 100 to 102 are the stored ones
    assert [duel.budget for duel in result.duels] == [4, 8, 16]
    ((schedules, images, seeds),) = tiny.validated
    assert (schedules, images, seeds) == (6, 96, result.seeds)
    for duel, winner in zip(result.duels, ran.winners, strict=True):
        best = min((b for b in tiny.baselines if b.latency <= duel.budget), key=lambda b: b.mean)
        assert duel.baseline == best.name
        for schedule, scores in ((winner.schedule, duel.winner_scores), (best.schedule, duel.baseline_scores)):
            expected = [tiny._scores(np.array([schedule]), 96, seed)[0][0] for seed in result.seeds]
            assert scores == pytest.approx(expected, rel=1e-5)
        assert f"{duel.paired.gain:+.0f} %" in outcome.stdout and f"{duel.paired.won} of 3" in outcome.stdout
    assert confirm(ConfirmSettings(run="out", seeds=3, first_seed=99, output="d.json")).duels == result.duels


def test_a_lead_whose_interval_holds_zero_is_inconclusive():
    duel = Paired
    clear = duel((1.0, 1.1, 0.9), (2.0, 2.2, 1.9))
    lead, margin = clear.lead
    assert (lead, clear.won, clear.verdict) == (pytest.approx(1.1 / 3 * 2.8181818, rel=0.1), 3, "better")
    assert margin == pytest.approx(4.3027 * np.std([1.0, 1.1, 1.0], ddof=1) / 3**0.5, rel=1e-3)
    assert clear.gain == pytest.approx(100 * (1 - 3.0 / 6.1))
    assert duel((2.0, 2.2, 1.9), (1.0, 1.1, 0.9)).verdict == "worse"
    assert duel((1.0, 2.0, 1.5), (1.5, 1.5, 1.6)).verdict == "inconclusive"
    assert duel((1.0,), (2.0,)).verdict == "inconclusive"  # one seed has no interval


def test_a_search_without_a_benchmark_cannot_be_confirmed(dataset):
    fit(FitSettings(dataset=dataset, predictor="gp", output="saved"))
    Path("zoo").mkdir()
    Path("zoo/latency.toml").write_text("ms = [1.0, 2.0, 4.0]\nbatch_size = 1\n")
    given = {"predictor_checkpoint": "saved", "latency": "zoo", "budgets": (9.0,), "evaluations": 20}
    run(RunSettings(output="out", **given))
    outcome = CliRunner().invoke(main, ["confirm", "out"])
    assert outcome.exit_code == 2 and "out is a search without a benchmark" in outcome.stderr


# -- a constant prediction -----------------------------------------------------------


@pytest.fixture
def constant(plugins):
    plugins.add("omsdpm.predictors", constant=Constant)


def test_constant_predictions_have_tau_zero_in_a_run(tiny, here, constant):
    outcome = CliRunner().invoke(
        main,
        ["run", "--benchmark", "tiny", "--predictor", "constant", "--optimizer", "random", "--evaluations", "50",
         "--no-validate", "--output", "out"],
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    ranks = json.loads(Path("out/result.json").read_text())["predictor"]["ranking"]["test"]
    assert (ranks["kendall_tau"], ranks["spearman"], ranks["constant"]) == (0, 0, True)
    assert "Kendall tau 0.000, Spearman 0.000 (constant" in outcome.stdout


def test_constant_predictions_have_tau_zero_in_fit_and_evaluate(dataset, constant):
    fitted = CliRunner().invoke(
        main, ["predictor", "fit", "--dataset", "d.parquet", "--predictor", "constant", "--output", "saved"]
    )
    assert fitted.exit_code == 0, fitted.output
    judged = CliRunner().invoke(
        main, ["predictor", "evaluate", "--dataset", "d.parquet", "--predictor-folder", "saved", "--output", "e.json"]
    )
    assert judged.exit_code == 0, judged.output
    for outcome in (fitted, judged):
        assert "Kendall tau 0.000, Spearman 0.000 (constant" in outcome.stdout
    for ranks in (FitResult.read("saved").others, EvaluateResult.read("e.json").correlations):
        assert (ranks.kendall_tau, ranks.spearman, ranks.constant) == (0, 0, True)


def test_constant_predictions_have_tau_zero_in_a_comparison(tiny, here, constant):
    settings = CompareSettings(benchmark="tiny", predictors=("constant",), train_sizes=(10,), seeds=1, output="out")
    (row,) = compare(settings).rows.values()
    assert (row["kendall_tau"], row["spearman"], row["elite_kendall_tau"]) == ("0", "0", "0")


# -- other formats -------------------------------------------------------------------


@pytest.fixture
def ran(tiny, here):
    run(RunSettings(benchmark=tiny, output="out", validated=False, **FAST))
    return Path("out/result.json")


@pytest.mark.parametrize(
    "change, expected",
    [
        ({"format": 4}, "is a result of run in format 4: this version reads format 3; upgrade omsdpm"),
        ({"format": 1}, "is a result of run in format 1: this version reads format 3; repeat it"),
        ({"kind": "validate"}, "is a result of validate: expected one of `omsdpm-bench run`"),
        ({"format": "2"}, "says no format"),
        ({"winners": [{}]}, "is damaged: KeyError 'schedule'; repeat the job"),
        ({"settings": {"evaluations": 0}}, "is damaged: --evaluations 0: input should be"),
    ],
)
def test_a_run_of_another_format_is_refused_by_name(ran, change, expected):
    ran.write_text(json.dumps({**json.loads(ran.read_text()), **change}))
    for command in (lambda: RunResult.read("out"), lambda: confirm(ConfirmSettings(run="out"))):
        with pytest.raises(InputError) as raised:
            command()
        assert f"{ran}" in str(raised.value) and expected in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("content", ["", "[]", "{", "{}"])
def test_what_is_no_result_is_told(here, content):
    Path("r.json").write_text(content)
    with pytest.raises(InputError, match=r"r\.json is (no result|damaged): .*; name .*`omsdpm-bench"):
        EvaluateResult.read("r.json")


@pytest.mark.parametrize(
    "change, expected",
    [
        ({"format": 9}, "is a result of evaluate in format 9: this version reads format 1; upgrade omsdpm"),
        ({"kendall_tau": "high"}, "is damaged: kendall_tau: input should be a valid number"),
        ({"tau": 1}, "is damaged: tau: extra inputs are not permitted"),
    ],
)
def test_other_results_of_another_format_are_refused_by_name(here, change, expected):
    result = EvaluateResult(
        settings=EvaluateSettings(dataset="d", predictor_folder="p"), remembered=False, left_out=0, schedules=3,
        kendall_tau=0.5, spearman=0.5, constant=False,
    )  # fmt: skip
    result.write("e.json")
    Path("e.json").write_text(json.dumps({**json.loads(Path("e.json").read_text()), **change}))
    with pytest.raises(InputError) as raised:
        EvaluateResult.read("e.json")
    assert "e.json" in str(raised.value) and expected in str(raised.value) and "\n" not in str(raised.value)


# -- names or objects, and the metric's parameters -----------------------------------


def test_objects_run_as_their_names_do(tiny, here):
    from predictors import make_predictor
    from studies import make_optimizer

    objects = {
        "benchmark": tiny,
        "predictor": make_predictor("gbdt", space=None, trees=20),
        "optimizer": make_optimizer("nsga2", population=10),
    }
    names = {"benchmark": "tiny", "predictor": "gbdt[trees=20]", "optimizer": "nsga2[population=10]"}
    common = {"evaluations": 60, "validated": False, "device": "cpu"}
    first, second = (
        run(RunSettings(output=folder, **given, **common)) for folder, given in (("a", objects), ("b", names))
    )
    assert first.winners == second.winners and first.source == second.source
    assert first.settings.command() == second.settings.command()
    assert objects["predictor"].space is None  # a copy was fitted


@pytest.mark.parametrize(
    "args",
    [
        ["run", "--benchmark", "digits-ddim"],
        ["dataset", "build", "few"],
    ],
)
def test_another_metric_than_the_benchmarks_is_refused(here, tiny_zoo, args):
    Path("few").mkdir()
    Path("few/benchmark.toml").write_text(RECIPE.format(zoo=json.dumps(str(tiny_zoo))))
    before = sorted(here.rglob("*"))
    outcome = CliRunner().invoke(main, [*args, "--metric", "fid[weights=w.pth]"])
    assert outcome.exit_code == 2
    assert "metric 'fid[weights=w.pth]': scores here are fd-digits, of which only parameters may" in outcome.stderr
    outcome = CliRunner().invoke(main, [*args, "--metric", "fd-digits[wieghts=w.pth]"])
    assert outcome.exit_code == 2 and "metric 'fd-digits' takes no parameters: leave out 'wieghts'" in outcome.stderr
    assert sorted(here.rglob("*")) == before


def test_a_benchmarks_metric_takes_parameters_in_validate(here):
    write_population("p.pth", [[1] + [0] * 24, [2] + [0] * 24])
    outcome = CliRunner().invoke(
        main, ["validate", "--population", "p.pth", "--benchmark", "digits-ddim", "--metric", "fd-digits[depth=3]"]
    )
    assert outcome.exit_code == 2 and "metric 'fd-digits' takes no parameters: leave out 'depth'" in outcome.stderr


def test_brackets_of_names_are_no_markup_in_tables(tiny, here):
    outcome = CliRunner().invoke(
        main,
        ["run", "--benchmark", "tiny", "--predictor", "gbdt[trees=20]", "--optimizer", "nsga2[population=10]",
         "--evaluations", "40", "--no-validate"],
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    assert "tiny: nsga2[population=10] on gbdt[trees=20]" in outcome.stdout
