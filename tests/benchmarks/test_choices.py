"""What strategies choose on a benchmark by labels, and that it is kept, validated and gone on with."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import Baseline, Benchmark, load_benchmark
from benchmarks.building import build_baselines
from benchmarks.card import write_card
from benchmarks.choices import CHOICES_FILE, LABELS_FILE, Choice, read_choices, with_choices, write_choices
from benchmarks.choosing import build_choices
from benchmarks.comparison import compare_strategies
from benchmarks.report import build_report
from omsdpm import DDIMSpace, InputError
from omsdpm.dataset import ScheduleDataset, shards
from omsdpm.dataset.build import Workers, build_dataset
from omsdpm.dataset.recipe import Recipe
from omsdpm.scoring.measurement import Meter

FILE = """
name = "small"
summary = "a small benchmark"
budgets = [3, 6]
strategies = {strategies}

[measurement]
zoo = {zoo}
solver = "ddim"
length = 4
images = 6
seed = 0

[validation]
images = 8
seeds = [21, 22]

[[round]]
name = "labels"
design = "random"
n = 12
split = "train"
null = 0.5
"""

ASKED = ["single", "stitch", "ays", "anneal[labels=6]", "lemica", "boundary"]


def write(folder, zoo, strategies):
    folder.mkdir(exist_ok=True)
    text = FILE.format(zoo=json.dumps(str(zoo)), strategies=json.dumps(strategies))
    (folder / "benchmark.toml").write_text(text)
    return folder


def build(folder, workers=None):
    workers = Workers() if workers is None else workers
    build_dataset(Recipe.read(folder), workers)
    build_baselines(Benchmark.read(folder), workers)
    build_choices(Benchmark.read(folder), workers)
    build_report(Benchmark.read(folder), workers)
    return Benchmark.read(folder)


@pytest.fixture(scope="module")
def built(tmp_path_factory, tiny_zoo):
    return build(write(tmp_path_factory.mktemp("choices") / "small", tiny_zoo, ASKED))


@pytest.fixture
def fresh(tmp_path, built):
    """The built folder, to be spoiled."""
    return shutil.copytree(built.folder, tmp_path / "small")


@pytest.fixture
def measured(monkeypatch):
    """Canonical schedules that are sampled for a score, as they are."""
    rows, measure = [], Meter.measure

    def watched(self, X, **how):
        rows.extend((self.measurement.seed, tuple(x)) for x in np.asarray(X).tolist())
        return measure(self, X, **how)

    monkeypatch.setattr(Meter, "measure", watched)
    return rows


def test_each_strategy_has_a_row_under_each_budget(built):
    assert [(c.strategy, c.budget) for c in built.choices] == [(name, b) for name in ASKED for b in (3.0, 6.0)]
    for choice in built.choices:
        if choice.reason is not None:
            assert choice.schedule is choice.scores is choice.score is choice.name is None
            continue
        assert built.space.latency(choice.schedule, built.latency)[0] <= choice.budget
        assert choice.scores.shape == (2,) and choice.labels >= 0
    assert {c.strategy for c in built.choices if c.reason} <= {"boundary"}


def test_choices_are_those_of_the_comparison_and_validated_like_baselines(built):
    rows = compare_strategies(built, names=ASKED)
    for row, choice in zip(rows, built.choices, strict=True):
        assert (row.strategy, row.budget, row.labels, row.name) == (
            choice.strategy, choice.budget, choice.labels, choice.name,
        )  # fmt: skip
    chosen = [choice for choice in built.choices if choice.schedule is not None]
    again = built.validate(np.array([choice.schedule for choice in chosen]))
    np.testing.assert_allclose(again.scores, [choice.scores for choice in chosen], rtol=1e-5)
    np.testing.assert_allclose(built.evaluate([c.schedule for c in chosen]), [c.score for c in chosen], rtol=1e-5)


def test_labels_are_kept_in_the_datasets_format_without_what_the_dataset_holds(built):
    labels = ScheduleDataset.read(built.folder / LABELS_FILE)
    assert set(labels.design) == {"strategies"} and set(labels.split) == {""}
    assert np.isnan(built.stored_scores(labels.X)).all()
    assert len(np.unique(labels.space.canonical(labels.X), axis=0)) == len(labels)
    np.testing.assert_allclose(built.evaluate(labels.X[:5]), labels.y[:5], rtol=1e-5)
    assert not [path for path in (built.folder / "build").iterdir() if path.is_dir()]


def test_building_again_measures_nothing(built, measured):
    before = (built.folder / CHOICES_FILE).read_bytes()
    build(built.folder)
    assert measured == [] and (built.folder / CHOICES_FILE).read_bytes() == before


def test_a_strategy_that_comes_later_is_added_and_the_others_stay(fresh, built, tiny_zoo, measured):
    before = Benchmark.read(fresh)
    assert len(before.choices) == 2 * len(ASKED)
    assert before.data_hash
    write(fresh, tiny_zoo, [*ASKED, "optimal-steps", "bisect"])
    after = build(fresh)
    assert after.data_hash == before.data_hash  # what was compared before still compares
    assert [(c.strategy, c.budget, c.labels) for c in after.choices[: len(before.choices)]] == [
        (c.strategy, c.budget, c.labels) for c in before.choices
    ]
    assert [c.strategy for c in after.choices[len(before.choices) :]] == ["optimal-steps"] * 2 + ["bisect"] * 2
    held = ScheduleDataset.read(built.folder / LABELS_FILE)
    known = {tuple(x) for x in built.space.canonical(np.concatenate([held.X, built.dataset.X])).tolist()}
    labels = [x for seed, x in measured if seed == 0]
    assert labels and len(set(labels)) == len(labels) and not known & set(labels)
    assert {tuple(x) for x in ScheduleDataset.read(fresh / LABELS_FILE).X[len(held) :].tolist()} == set(labels)


def test_a_budget_that_comes_later_is_added(fresh, built):
    wider = replace(Benchmark.read(fresh), budgets=[3.0, 5.0, 6.0])
    choices = build_choices(wider, Workers())
    assert [(c.strategy, c.budget) for c in choices[len(built.choices) :]] == [(name, 5.0) for name in ASKED]
    assert build_choices(wider, Workers()) and len(read_choices(fresh / CHOICES_FILE, built.space)) == len(choices)


def test_a_build_that_was_killed_goes_on_with_the_labels_that_it_has(tmp_path, tiny_zoo, measured, monkeypatch):
    folder = write(tmp_path / "small", tiny_zoo, ["single", "lemica"])

    def killed(*_, **__):
        raise KeyboardInterrupt

    build_dataset(Recipe.read(folder), Workers())
    build_baselines(Benchmark.read(folder), Workers())
    with monkeypatch.context() as patch:
        patch.setattr("benchmarks.choosing._validated", killed)
        with pytest.raises(KeyboardInterrupt):
            build_choices(Benchmark.read(folder), Workers())
    assert not (folder / CHOICES_FILE).exists() and (folder / LABELS_FILE).exists()
    measured.clear()
    build_choices(Benchmark.read(folder), Workers())
    assert all(seed in (21, 22) for seed, _ in measured)  # no label again


def test_shards_of_labels_that_were_measured_are_not_measured_again(tmp_path, tiny_zoo, measured, monkeypatch):
    folder = write(tmp_path / "small", tiny_zoo, ["lemica"])
    build_dataset(Recipe.read(folder), Workers())
    build_baselines(Benchmark.read(folder), Workers())
    measured.clear()
    write_shard, done = shards.Measured.write, []

    def dies(self, path):
        if done:
            raise KeyboardInterrupt
        done.append(len(self.rows))
        write_shard(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(shards.Measured, "write", dies)
        with pytest.raises(KeyboardInterrupt):
            build_choices(Benchmark.read(folder), Workers(), shard_size=3)
    before = len(measured)
    build_choices(Benchmark.read(folder), Workers(), shard_size=3)
    labels = [x for seed, x in measured if seed == 0]
    assert len(labels) - len(set(labels)) == before - done[0]  # the shard that was lost, and no other


def test_two_processes_agree(fresh, built):
    for name in (CHOICES_FILE, LABELS_FILE):
        (fresh / name).unlink()
    two = build_choices(Benchmark.read(fresh), Workers(jobs=2))
    assert [(c.strategy, c.labels, c.name) for c in two] == [(c.strategy, c.labels, c.name) for c in built.choices]


def test_choices_are_baselines_and_say_what_they_cost(built):
    kinds = {baseline.kind for baseline in built.baselines}
    assert {"single", "stitch"} <= kinds
    keys = [built.space.canonical(baseline.schedule)[0].tobytes() for baseline in built.baselines]
    chosen = {built.space.canonical(c.schedule)[0].tobytes() for c in built.choices if c.schedule is not None}
    assert len(set(keys)) == len(keys) and chosen <= set(keys)
    of = {(choice.strategy, choice.budget): choice.labels for choice in built.choices}
    for baseline in built.baselines:
        budget = 3.0 if baseline.latency <= 3 else 6.0
        assert baseline.labels == of[baseline.kind, budget]
    for budget in built.budgets:
        fitting = [choice for choice in built.choices if choice.scores is not None and choice.budget <= budget]
        assert built.best_baseline(budget).mean <= min(choice.scores.mean() for choice in fitting)


def test_of_those_who_chose_the_same_the_cheapest_is_named():
    space, x = DDIMSpace(2, 3), np.array([1, 0, 2])
    stored = [Baseline("single", "one", np.array([1, 0, 1]), 2.0, np.array([5.0]))]
    scores = np.array([4.0])
    choices = [
        Choice("dear", 4.0, 90, "by dear", x, 4.1, scores),
        Choice("cheap", 4.0, 3, "by cheap", x, 4.1, scores),
        Choice("single", 4.0, 7, "one", np.array([1, 0, 1]), 5.1, np.array([5.0])),
        Choice("none", 4.0, 2, reason="nothing fits"),
    ]
    one, two = with_choices(stored, choices, space, [1.0, 2.0])
    assert (one.kind, one.labels) == ("single", 7)
    assert (two.kind, two.name, two.labels, two.latency) == ("cheap", "by cheap", 3, 3.0)
    (alone,) = with_choices(stored, [], space, [1.0, 2.0])
    assert alone.labels is None


def test_reports_of_new_best_baselines_are_added(fresh, measured):
    before = Benchmark.read(fresh).report
    choices = read_choices(fresh / CHOICES_FILE, Benchmark.read(fresh).space)
    x = np.array([0, 3, 2, 1])
    best = Choice("lucky", 7.0, 1, "lucky", x, 0.0, np.array([0.0, 0.0]))
    write_choices(fresh / CHOICES_FILE, [*choices, best])
    benchmark = replace(Benchmark.read(fresh), budgets=[3.0, 6.0, 7.0])
    assert benchmark.best_baseline(7.0).kind == "lucky"
    report = build_report(benchmark, Workers())
    assert {x for _, x in measured} == {(0, 3, 2, 1)}
    assert set(report.scores) == {*before.scores, x.tobytes()}
    for key, y in before.scores.items():
        np.testing.assert_array_equal(report.scores[key], y)
    measured.clear()
    build_report(benchmark, Workers())
    assert measured == []


def test_labels_and_choices_of_another_measurement_are_refused(fresh, tiny_zoo):
    path = fresh / "measured.json"
    table = json.loads(path.read_text())
    path.write_text(json.dumps({**table, "strategies": {**table["strategies"], "member 1": "0" * 32}}))
    with pytest.raises(InputError, match=r"strategies\.parquet was measured with other weights of member 1"):
        build_choices(Benchmark.read(fresh), Workers())
    (fresh / CHOICES_FILE).unlink()
    path.write_text(json.dumps({**table, "labels": {**table["labels"], "member 2": "0" * 32}}))
    with pytest.raises(InputError, match=r"labels\.parquet was measured with other weights of member 2"):
        build_choices(Benchmark.read(fresh), Workers())


def test_an_unknown_strategy_is_told(fresh, tiny_zoo):
    write(fresh, tiny_zoo, ["lemca"])
    with pytest.raises(InputError, match="lemica"):
        build_choices(Benchmark.read(fresh), Workers())


DAMAGES = {
    "no parquet": None,
    "a column less": lambda rows: [{k: v for k, v in row.items() if k != "labels"} for row in rows],
    "a schedule of other slots": lambda rows: [{**rows[0], "schedule": [1, 2]}, *rows[1:]],
    "a member too many": lambda rows: [{**rows[0], "schedule": [9, 9, 9, 9]}, *rows[1:]],
    "no score": lambda rows: [{**rows[0], "scores": [float("nan"), 1.0]}, *rows[1:]],
    "scores of other seeds": lambda rows: [{**rows[0], "scores": [1.0]}, *rows[1:]],
    "no strategy": lambda rows: [{**rows[0], "strategy": None}, *rows[1:]],
    "neither schedule nor reason": lambda rows: [{**rows[0], "name": None}, *rows[1:]],
    "a budget of nothing": lambda rows: [{**rows[0], "budget_ms": -1.0}, *rows[1:]],
    "labels below none": lambda rows: [{**rows[0], "labels": -1}, *rows[1:]],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_told_in_a_line(fresh, damage):
    path, change = fresh / CHOICES_FILE, DAMAGES[damage]
    if change is None:
        path.write_bytes(b"PAR1")
    else:
        pq.write_table(pa.Table.from_pylist(change(pq.read_table(path).to_pylist())), path)
    with pytest.raises(InputError, match=r"strategies\.parquet") as told:
        read_choices(path, DDIMSpace(3, 4))
    assert "\n" not in str(told.value)


def test_choices_survive_their_file(built, tmp_path):
    write_choices(tmp_path / CHOICES_FILE, built.choices)
    for one, two in zip(built.choices, read_choices(tmp_path / CHOICES_FILE, built.space), strict=True):
        assert (one.strategy, one.budget, one.labels, one.name, one.score, one.reason) == (
            two.strategy, two.budget, two.labels, two.name, two.score, two.reason,
        )  # fmt: skip
        np.testing.assert_array_equal(one.schedule, two.schedule)
        np.testing.assert_array_equal(one.scores, two.scores)


def test_a_card_says_what_each_reaches_and_with_how_many_labels(built):
    text = write_card(built).read_text()
    choice = next(choice for choice in built.choices if choice.strategy == "lemica")
    assert "## What strategies choose" in text
    assert f"| `lemica` | {choice.scores.mean():.4g} ({choice.labels}) |" in text
    if any(choice.reason for choice in built.choices):
        assert "`boundary`: " in text


@pytest.mark.parametrize("name", ["digits-ddim", "digits-dpm", "digits-tab"])
def test_every_strategy_has_chosen_on_the_embedded_benchmarks(name):
    benchmark = load_benchmark(name)
    rows = {(choice.strategy, choice.budget): choice for choice in benchmark.choices}
    for strategy in sorted(OURS):
        for budget in benchmark.budgets:
            choice = rows[strategy, budget]
            if choice.schedule is None:
                assert choice.reason
                continue
            assert benchmark.space.latency(choice.schedule, benchmark.latency)[0] <= budget
            assert len(choice.scores) == len(benchmark.validation_seeds) and choice.labels >= 0
            known = benchmark.stored_scores(choice.schedule)[0]
            assert np.isnan(known) or known == pytest.approx(choice.score, rel=1e-3)


OURS = {
    "anneal", "ays", "bisect", "boundary", "guidance-interval", "karras", "leading", "lemica", "linspace", "logSNR",
    "optimal-steps", "sandwich", "single", "stitch", "stitch3", "trailing",
}  # fmt: skip
