"""``omsdpm-bench dataset estimate``: all that a build samples is counted."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import Benchmark
from benchmarks.baselines import all_baselines
from benchmarks.choosing import would_measure
from omsdpm.scoring.sampler import Sampler
from omsdpm.zoo.files import write_latency_card
from studies.cli import main
from studies.jobs.estimate import EstimateResult, EstimateSettings, estimate
from studies.jobs.estimate.search import estimate_search
from studies.jobs.search.settings import SearchSettings

RECIPE = """
name = "few"
summary = "a few"
budgets = [4, 8]
[measurement]
zoo = {zoo}
solver = "ddim"
length = 5
images = 16
[validation]
images = 24
seeds = [11, 12]
[repeat]
n = 30
seed = 2
[[round]]
name = "first"
design = "random"
n = 60
split = "train"
"""


@pytest.fixture
def few(tmp_path, tiny_zoo):
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "benchmark.toml").write_text(RECIPE.format(zoo=json.dumps(str(tiny_zoo))))
    return tmp_path / "few"


def test_the_repeat_the_baselines_and_the_reports_count(few):
    result = estimate(EstimateSettings(folder=few))
    parts = {part.name: part for part in result.rounds}
    assert list(parts) == [
        "first", "repeat", "baselines", "labels of strategies", "choices of strategies", "report",
    ]  # fmt: skip
    first = parts["first"]
    assert parts["repeat"].schedules == 30 and parts["repeat"].seconds == pytest.approx(first.seconds / 2)
    benchmark = Benchmark.read(few)
    X = np.array([one.x for one in all_baselines(benchmark.space, benchmark.latency, benchmark.budgets)])
    assert parts["baselines"].schedules == 2 * len(X)
    assert parts["baselines"].one_by_one == 2 * benchmark.space.nfe(X).sum()
    # The zoo's latencies are of 8 images, and a validated schedule has 24 from each of two seeds.
    alone = 2 * 3 * benchmark.space.latency(X, benchmark.latency).sum() / 1000
    assert parts["baselines"].seconds_one_by_one == pytest.approx(alone)
    labels, choices = would_measure(benchmark)
    assert parts["labels of strategies"].schedules == len(labels) > 60
    assert parts["labels of strategies"].one_by_one == benchmark.space.nfe(labels).sum()
    known = {x.tobytes() for x in benchmark.space.canonical(X)}
    assert parts["choices of strategies"].schedules == 2 * sum(x.tobytes() not in known for x in choices) > 0
    assert parts["report"].schedules == 2 * 10  # the dearest under each budget, on ten seeds
    dearest = sum(max(ms for ms in benchmark.space.latency(X, benchmark.latency) if ms <= budget) for budget in (4, 8))
    assert parts["report"].seconds_one_by_one == pytest.approx(10 * 3 * dearest / 1000)
    for name in ("schedules", "one_by_one", "evaluations", "seconds", "scoring"):
        assert getattr(result.total, name) == pytest.approx(sum(getattr(part, name) for part in result.rounds))


def test_strategies_that_the_file_leaves_out_cost_nothing(few):
    text = (few / "benchmark.toml").read_text()
    (few / "benchmark.toml").write_text(text.replace("budgets = [4, 8]", "budgets = [4, 8]\nstrategies = []"))
    parts = [part.name for part in estimate(EstimateSettings(folder=few)).rounds]
    assert parts == ["first", "repeat", "baselines", "report"]


def test_scoring_is_timed_and_meets_the_deadline_too(few):
    result = estimate(EstimateSettings(folder=few, deadline=1e-7))
    assert all(part.scoring > 0 for part in result.rounds)
    a, b = result.rounds[0], result.rounds[1]  # of as many images a schedule
    assert a.scoring / a.schedules == pytest.approx(b.scoring / b.schedules)
    assert result.devices == pytest.approx((result.total.seconds + result.total.scoring) / 3.6e-4, abs=1)


def test_what_cannot_be_scored_here_is_counted_without(few, monkeypatch):
    text = (few / "benchmark.toml").read_text()
    (few / "benchmark.toml").write_text(text.replace("images = 16", 'images = 16\nmetric = "fid[weights=none.pth]"'))
    outcome = CliRunner().invoke(main, ["dataset", "estimate", str(few)])
    assert outcome.exit_code == 0, outcome.output
    assert "scoring is left out: " in outcome.stdout and "none.pth" in outcome.stdout


def test_nothing_is_sampled(few, monkeypatch):
    def never(self, *args, **kwargs):
        raise AssertionError("a member was called")

    monkeypatch.setattr("omsdpm.zoo.member.Member.__call__", never)
    assert estimate(EstimateSettings(folder=few)).total.schedules > 60


def test_results_of_format_1_are_read(few, tmp_path):
    estimate(EstimateSettings(folder=few, output=tmp_path / "e.json"))
    table = json.loads((tmp_path / "e.json").read_text())
    table["format"] = 1
    for part in (*table["rounds"], table["total"]):
        del part["scoring"]
    (tmp_path / "e.json").write_text(json.dumps(table))
    assert EstimateResult.read(tmp_path / "e.json").total.scoring is None


def test_loading_is_timed_and_everything_is_said(few):
    result = estimate(EstimateSettings(folder=few))
    assert result.loading > 0
    assert result.seconds == pytest.approx(result.total.seconds + result.total.scoring + result.loading)
    outcome = CliRunner().invoke(main, ["dataset", "estimate", str(few)])
    assert "One process takes about " in outcome.stdout and "of it to load" in outcome.stdout


def test_steps_and_switches_cost_what_the_table_says(few, tmp_path, tiny_zoo):
    before = estimate(EstimateSettings(folder=few)).rounds[0]
    zoo = shutil.copytree(tiny_zoo, tmp_path / "zoo")
    write_latency_card(zoo, {"ms": [1.0, 2.0, 4.0], "batch_size": 8, "step_ms": 0.5, "switch_ms": 1.0})
    (few / "benchmark.toml").write_text(RECIPE.format(zoo=json.dumps(str(zoo))))
    after = estimate(EstimateSettings(folder=few)).rounds[0]
    steps = 2 * 0.5e-3 * before.one_by_one  # 16 images are twice 8
    assert after.evaluations == before.evaluations
    assert before.seconds_one_by_one + steps < after.seconds_one_by_one < before.seconds_one_by_one + 3 * steps


def test_a_search_says_what_it_costs_and_samples_nothing(tmp_path, tiny_zoo, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Sampler, "sample", lambda *args, **kw: pytest.fail("sampled"))
    asked = ["search", "--zoo", str(tiny_zoo), "--budget", "6", "--budget", "12", "--length", "5", "--labels", "30",
             "--label-images", "16", "--race-images", "16", "--validate-images", "32",
             "--evaluations", "50"]  # fmt: skip
    outcome = CliRunner().invoke(main, [*asked, "--estimate"])
    assert outcome.exit_code == 0, outcome.output
    for word in ("labels", "race", "report", "latencies", "The search takes about", "for fits and searches"):
        assert word in outcome.stdout
    assert list(tmp_path.iterdir()) == []
    settings = SearchSettings(
        zoo=tiny_zoo, budgets=(6.0, 12.0), length=5, labels=30, label_images=16, race_images=16, validate_images=32,
        evaluations=50, estimate=True,
    )  # fmt: skip
    cost = estimate_search(settings)
    parts = {part.name: part for part in cost.parts}
    assert parts["labels"].schedules == 30 and parts["labels"].seconds_one_by_one > 0
    assert parts["report"].schedules == 2 * 2 * 5 * 2  # twice as many images as a label, five seeds, two budgets
    assert parts["latencies"].seconds == pytest.approx(7 * 7e-3)  # seven times all members on the table's batch
    assert cost.loading > 0 and cost.thinking > 0 and "--estimate" not in settings.command()
    assert cost.seconds == pytest.approx(cost.total.seconds + cost.total.scoring + cost.loading + cost.thinking)
