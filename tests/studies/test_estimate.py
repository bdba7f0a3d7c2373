"""``omsdpm-bench dataset estimate``: all that a build samples is counted."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import Benchmark
from benchmarks.baselines import all_baselines
from studies.cli import main
from studies.jobs.estimate import EstimateResult, EstimateSettings, estimate

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
    assert list(parts) == ["first", "repeat", "baselines", "report"]
    first = parts["first"]
    assert parts["repeat"].schedules == 30 and parts["repeat"].seconds == pytest.approx(first.seconds / 2)
    benchmark = Benchmark.read(few)
    X = np.array([one.x for one in all_baselines(benchmark.space, benchmark.latency, benchmark.budgets)])
    assert parts["baselines"].schedules == 2 * len(X)
    assert parts["baselines"].one_by_one == 2 * benchmark.space.nfe(X).sum()
    # The zoo's latencies are of 8 images, and a validated schedule has 24 from each of two seeds.
    alone = 2 * 3 * benchmark.space.latency(X, benchmark.latency).sum() / 1000
    assert parts["baselines"].seconds_one_by_one == pytest.approx(alone)
    assert parts["report"].schedules == 2 * 10  # the dearest under each budget, on ten seeds
    dearest = sum(max(ms for ms in benchmark.space.latency(X, benchmark.latency) if ms <= budget) for budget in (4, 8))
    assert parts["report"].seconds_one_by_one == pytest.approx(10 * 3 * dearest / 1000)
    for name in ("schedules", "one_by_one", "evaluations", "seconds", "scoring"):
        assert getattr(result.total, name) == pytest.approx(sum(getattr(part, name) for part in result.rounds))


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
