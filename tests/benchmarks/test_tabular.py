import json

import numpy as np
import pytest

from benchmarks import Benchmark, TabularBenchmark
from benchmarks.building import build_baselines, build_repeat
from benchmarks.card import write_card
from omsdpm import InputError
from omsdpm.dataset.build import Workers, build_dataset
from omsdpm.dataset.recipe import Recipe

RECIPE = """
name = "tiny-tab"
summary = "Two slots of three untrained members."
tabular = true
budgets = [2, 5]
notes = "Nothing to design."

[measurement]
zoo = {zoo}
solver = "ddim"
length = 2
images = 8
seed = 0

[validation]
images = 10
seeds = [7, 8]

[repeat]
n = 6
seed = 1

[[round]]
name = "exhaustive"
design = "exhaustive"
splits = {{ test = 5, train = 4, elite = 3 }}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory, tiny_zoo):
    folder = tmp_path_factory.mktemp("tab")
    (folder / "benchmark.toml").write_text(RECIPE.format(zoo=json.dumps(str(tiny_zoo))))
    workers = Workers(jobs=1)
    build_dataset(Recipe.read(folder), workers, shard_size=15)
    benchmark = Benchmark.read(folder)
    build_repeat(benchmark, workers)
    build_baselines(benchmark, workers)
    return Benchmark.read(folder)


def test_every_schedule_is_a_lookup(built, monkeypatch):
    assert isinstance(built, TabularBenchmark) and built.exhaustive
    X = built.space.enumerate()
    assert len(built.dataset) == len(X) == 15
    sampled = built.measurement.open().measure(X[[3, 14]])
    monkeypatch.setattr("omsdpm.scoring.measurement.Meter.measure", None)
    np.testing.assert_allclose(built.evaluate(X[[3, 14]]), sampled, rtol=1e-5)
    with pytest.raises(InputError, match="all null"):
        built.evaluate([[0, 0]])


def test_front_and_optimum_are_exact(built):
    X = built.space.enumerate()
    y, ms = built.evaluate(X), built.space.latency(X, built.latency)
    expected = {
        tuple(x)
        for x, a, b in zip(X.tolist(), y, ms, strict=True)
        if not any((y <= a) & (ms <= b) & ((y < a) | (ms < b)))
    }
    front = built.pareto_front()
    assert {tuple(x) for x in front.X.tolist()} == expected
    assert (np.diff(built.space.latency(front.X, built.latency)) > 0).all()
    for budget in (1.0, 3.0, 8.0, None):
        fits = ms <= (np.inf if budget is None else budget)
        assert built.optimum(budget).y[0] == y[fits].min()
        regret = built.regret(X[fits], budget)
        assert regret.min() == 0
    with pytest.raises(InputError, match="cheapest schedule"):
        built.optimum(0.5)


def test_splits_are_disjoint_and_elite_is_good(built):
    dataset = built.dataset
    assert [len(dataset.subset(split)) for split in ("test", "train", "elite")] == [5, 4, 3]
    left = dataset[np.isin(dataset.split, ["elite", ""])]
    assert dataset.subset("elite").y.min() == left.y.min()


def test_repeat_is_other_noise_on_the_same_schedules(built):
    repeat = built.repeat
    assert len(repeat) == 6
    first = built.evaluate(repeat.X)
    assert (repeat.y != first).all()
    other = built.measurement.with_noise(images=8, seed=1).open().measure(repeat.X)
    np.testing.assert_allclose(repeat.y, other, rtol=1e-5)


def test_baselines_are_validated_with_fresh_noise(built):
    assert {b.kind for b in built.baselines} == {"single", "stitch"}
    first = built.baselines[0]
    validation = built.validate(first.schedule[None])
    np.testing.assert_allclose(first.scores, validation.scores[0], rtol=1e-5)
    assert first.scores.shape == (2,)


def test_card_says_how_it_was_made(built):
    card = write_card(built).read_text()
    assert "# tiny-tab" in card
    assert "independent noise | 6 schedules again: Kendall tau" in card
    assert "| exhaustive | -, elite, test, train | 15 |" in card
    assert "took 15 network evaluations instead of 24" in card
    assert "Nothing to design." in card


def test_an_unfinished_table_is_an_error(built, tmp_path):
    (tmp_path / "benchmark.toml").write_bytes((built.folder / "benchmark.toml").read_bytes())
    built.dataset[:4].write(tmp_path / "schedules.parquet")
    with pytest.raises(InputError, match="holds 4 of 15 schedules"):
        Benchmark.read(tmp_path).evaluate(built.space.enumerate())
