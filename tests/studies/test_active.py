"""Search that spends labels where they decide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import load_benchmark
from omsdpm import InputError
from omsdpm.dataset import ScheduleDataset
from omsdpm.solvers import DDIMSpace, DPMSolverSpace
from predictors import make_predictor
from studies import make_optimizer
from studies.active import ActiveSearch, LabelStore, start_design
from studies.cli import main
from studies.jobs.confirm import ConfirmSettings, confirm
from studies.jobs.run import RunResult, winners
from studies.jobs.run.race import race
from studies.jobs.run.search import PricedSpace
from studies.jobs.schedules import read_source

LATENCY = [1.0, 2.0, 4.0]


def cli(*args: str):
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def quality(X):
    """Lower where many slots work, large members near the image and small ones near the noise."""
    X = np.asarray(X)
    weight = np.linspace(2, 1, X.shape[1])
    worth = np.array([0.0, 1.0, 1.5, 1.8])[X]
    return 10 * np.exp(-0.4 * (worth * weight).sum(axis=1) / 3) + 0.05


def active(measure=quality, **more):
    space = DDIMSpace(3, 8)
    return ActiveSearch(
        PricedSpace(space, LATENCY),
        [4.0, 8.0],
        make_optimizer("nsga2[population=20]"),
        lambda seed: make_predictor("gp", space=space, random_state=seed),
        measure,
        start=12,
        batch=6,
        **more,
    )


def store(path="labels.parquet", **facts):
    return LabelStore(Path(path), DDIMSpace(3, 8), "made up", facts)


@pytest.mark.parametrize("space", [DDIMSpace(3, 10), DPMSolverSpace(3, 4), DDIMSpace(2, 3), DDIMSpace(3, 5)])
def test_a_start_design_is_distinct_cheap_enough_and_has_single_members(space):
    latency = LATENCY[: space.num_models]
    X = start_design(space, latency, [3.0, 9.0], 20, np.random.default_rng(0))
    assert len(np.unique(space.canonical(X), axis=0)) == len(X) <= 20
    assert (space.latency(X, latency) <= 9).all()
    alone = [len(set(row[row > 0])) == 1 for row in X]
    assert sum(alone) >= min(6, len(X) // 3)
    again = start_design(space, latency, [3.0, 9.0], 20, np.random.default_rng(0))
    assert np.array_equal(X, again)


def test_a_start_design_has_single_members_in_every_order():
    space = DPMSolverSpace(3, 4)
    X = start_design(space, LATENCY, [3.0, 6.0, 12.0], 40, np.random.default_rng(0))
    alone = X[[len(set(row[row > 0])) == 1 for row in X]]
    orders = [set(row[row > 0].tolist()) for row in space.orders_of(alone)]
    assert all(orders.count({order}) > 1 for order in (1, 2, 3))


def test_a_start_design_under_a_tight_budget_is_what_there_is():
    """One step of either member, or two of the first: random schedules are hardly ever so few."""
    space = DDIMSpace(2, 20)
    X = start_design(space, [30.0, 60.0], [61.0], 20, np.random.default_rng(0))
    assert len(X) == 20 and (space.latency(X, [30.0, 60.0]) <= 61).all()
    one = start_design(DDIMSpace(1, 40), [30.0], [31.0], 12, np.random.default_rng(0))
    assert len(one) == 12 and (one.sum(axis=1) == 1).all()


def test_a_start_design_changes_one_slot_at_a_time():
    """Of ten steps of the second member, the slowest one of which so many fit."""
    space = DDIMSpace(3, 10)
    X = start_design(space, LATENCY, [3.0, 30.0], 20, np.random.default_rng(0))
    changed = (np.full(10, 2) != X).sum(axis=1)
    assert changed[0] == 0 and (changed == 1).sum() >= 20 - 1 - 6


def test_few_labels_find_what_is_best_of_all(here):
    """Of 65,535 schedules, with 60 labels."""
    labels, search = store(), active()
    told = []
    search.run(labels, 60, told.append)
    space = DDIMSpace(3, 8)
    everything = space.enumerate()
    cost, scores = space.latency(everything, LATENCY), quality(everything)
    optimum = np.array([scores[cost <= budget].min() for budget in (4.0, 8.0)])
    assert told[-1].best == pytest.approx(optimum, rel=0.02)
    assert [state.labels for state in told][:3] == [0, 6, 12] and told[-1].labels == len(labels) <= 60
    best = np.array([state.best for state in told[1:]])
    assert (np.diff(best[np.isfinite(best).all(axis=1)], axis=0) <= 0).all()


def test_labels_are_kept_as_they_are_made_and_a_killed_search_goes_on(here):
    whole = store("whole.parquet")
    active().run(whole, 36)
    calls = 0

    def killed(X):
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return quality(X)

    with pytest.raises(KeyboardInterrupt):
        active(killed).run(store("part.parquet"), 36)
    kept = ScheduleDataset.read("part.parquet")
    assert len(kept) == 12 and set(kept.design) == {"start"}
    measured = []
    active(lambda X: measured.append(len(X)) or quality(X)).run(store("part.parquet"), 36)
    assert sum(measured) == len(whole) - 12 > 0  # what was measured is not measured again
    again = ScheduleDataset.read("part.parquet")
    assert np.array_equal(again.X, whole.dataset.X) and np.array_equal(again.y, whole.dataset.y)
    assert again.design.tolist() == whole.dataset.design.tolist()


def test_nothing_is_labeled_twice(here):
    labels = store()
    active().run(labels, 48)
    assert len(np.unique(labels.dataset.X, axis=0)) == len(labels)


def test_a_search_ends_where_nothing_is_expected_to_be_better(here):
    space = DDIMSpace(1, 3)
    search = ActiveSearch(
        PricedSpace(space, [1.0]), [3.0], make_optimizer("random"),
        lambda seed: make_predictor("gp", space=space, random_state=seed),
        lambda X: 10.0 - space.nfe(X), start=3, batch=2,
    )  # fmt: skip
    labels = LabelStore(Path("l.parquet"), space, "made up", {})
    search.run(labels, 50)
    assert 3 <= len(labels) <= 7  # there are seven schedules


def test_a_predictor_that_is_sure_and_wrong_does_not_end_a_search(here):
    """It says that nothing is better than what there is; the search ends where no neighbor is."""

    class Sure:
        def __init__(self, seed):
            pass

        def fit(self, X, y):
            self.least = y.min()
            return self

        def predict(self, X):
            return np.full(len(X), 2 * self.least)

        def predict_bound(self, X, kappa):
            return self.predict(X)

    search, labels = replace(active(), make=Sure, optimizer=make_optimizer("random")), store()
    search.run(labels, 500)
    X, y, space = labels.dataset.X, labels.dataset.y, labels.dataset.space
    assert len(labels) < 500
    found = []
    cost = space.latency(X, LATENCY)
    for budget in search.budgets:
        best = np.where(cost <= budget, y, np.inf).argmin()
        found.append(labels.dataset.design[best])
        near = space.neighbors(X[best])
        assert not len(labels.new(near[space.latency(near, LATENCY) <= budget]))
    assert found != ["start"] * 2


def test_labels_of_another_measurement_are_refused(here):
    labels = store(measured="a")
    active().run(labels, 12)
    with pytest.raises(InputError, match=r"labels.parquet holds labels with measured = 'a', here it is 'b'"):
        store(measured="b")
    with pytest.raises(InputError, match="asked for is"):
        LabelStore(Path("labels.parquet"), DDIMSpace(3, 9), "made up", {})


def test_fewer_labels_than_the_start_design_are_refused(here):
    with pytest.raises(InputError, match="5 labels: the start design alone has 12; give more"):
        active().run(store(), 5)
    assert not Path("labels.parquet").exists()


def test_on_exact_answers_sixty_labels_come_near_the_optimum(here):
    """The target is a mean regret of 0.02 over ten seeds; one seed must be within three times that."""
    benchmark = load_benchmark("digits-tab")
    labels = LabelStore(Path("l.parquet"), benchmark.space, benchmark.metric, {})
    told = []
    ActiveSearch(
        PricedSpace(benchmark.space, benchmark.latency),
        benchmark.budgets,
        make_optimizer("nsga2"),
        lambda seed: benchmark.predictor("gp", random_state=seed),
        benchmark.evaluate,
    ).run(labels, 60, told.append)
    optimum = np.array([float(benchmark.optimum(budget).y[0]) for budget in benchmark.budgets])
    assert np.mean(told[-1].best / optimum - 1) < 0.06


# -- the commands --------------------------------------------------------------------

SMALL = ("--seeds", "2", "--validate-images", "16", "--race-images", "16", "--top", "3", "--evaluations", "200")


def test_run_measures_its_own_labels(tiny, here):
    args = ("run", "--benchmark", "tiny", "--active", "--optimizer", "random", "--labels", "25", *SMALL)
    outcome = cli(*args, "--output", "out")
    assert outcome.exit_code == 0, outcome.output
    labels = ScheduleDataset.read("out/labels.parquet")
    assert len(labels) == 25 and labels.metric == "fd-pixels"
    assert labels.y == pytest.approx(tiny.evaluate(labels.X))
    result = RunResult.read("out")
    assert (result.source.train_size, result.predictor, result.settings.spent) == (25, "gp", 25)
    assert "25 labels" in outcome.stderr and Path("out/labels.png").stat().st_size > 1000
    assert "--active" in result.settings.command() and "--labels 25" in result.settings.command()
    assert [winner.budget for winner in result.winners] == [4, 8, 16]
    again = cli(*args, "--output", "out")
    assert again.exit_code == 0 and "out has this run's results: nothing is made again" in again.stdout
    more = cli(
        "run", "--benchmark", "tiny", "--active", "--optimizer", "random", "--labels", "30", *SMALL, "--output", "out"
    )
    assert more.exit_code == 0, more.output
    longer = ScheduleDataset.read("out/labels.parquet")
    assert len(longer) == 30 and np.array_equal(longer.X[:25], labels.X)


@pytest.mark.parametrize(
    "options, message",
    [
        (("--labels", "50"), "--labels is for a search that measures its own: give --active too"),
        (("--active", "--train-size", "9"), "--train-size takes labels of the benchmark"),
        (("--active", "--labels", "5"), "5 labels: the start design alone has 20"),
    ],
)
def test_labels_that_mean_nothing_are_refused(tiny, here, options, message):
    outcome = cli("run", "--benchmark", "tiny", *options)
    assert outcome.exit_code == 2 and message in outcome.stderr
    assert not list(here.iterdir())


@pytest.fixture
def zoo(here, tiny_zoo):
    (Path(tiny_zoo) / "latency.toml").exists()
    return tiny_zoo


def test_search_needs_no_dataset(zoo, here):
    args = ("search", "--zoo", zoo, "--length", "6", "--label-images", "8", "--optimizer", "random", *SMALL)
    ms = _latency(zoo)
    budget = 4 * max(ms)
    outcome = cli(*args, "--budget", budget, "--labels", "22", "--output", "out")
    assert outcome.exit_code == 0, outcome.output
    result = RunResult.read("out")
    (winner,) = result.winners
    assert winner.latency <= budget and winner.baseline is not None and len(winner.measured.scores) == 2
    labels = ScheduleDataset.read("out/schedules.parquet")
    assert len(labels) <= 22 and result.source.train_size == len(labels)
    assert "result.json" in {path.name for path in Path("out").iterdir()}
    again = confirm(ConfirmSettings(run="out", seeds=2, first_seed=77))
    assert again.seeds == (77, 78) and again.duels[0].baseline == winner.baseline.name


def test_a_baseline_that_is_ahead_in_the_race_is_the_winner_of_a_search(zoo, here, monkeypatch):
    def with_a_baseline_ahead(*given):
        (racers, baselines), scores = race(*given)
        ahead = next(row for row in baselines if row not in racers)
        return [racers, [ahead, *(row for row in baselines if row != ahead)]], {**scores, ahead: -1.0}

    monkeypatch.setattr(winners, "race", with_a_baseline_ahead)
    args = ("search", "--zoo", zoo, "--length", "6", "--label-images", "8", "--optimizer", "random", *SMALL)
    outcome = cli(*args, "--budget", 4 * max(_latency(zoo)), "--labels", "20", "--output", "out")
    assert outcome.exit_code == 0, outcome.output
    (winner,) = RunResult.read("out").winners
    assert winner.is_baseline and winner.schedule == winner.baseline.schedule == winner.measured.schedule
    assert winner.source not in ("search", "labels") and winner.own.source == "search"
    assert winner.gain == 0 and winner.verdict == "the baseline" and winner.paired.verdict == "inconclusive"
    said = " ".join(outcome.output.split())
    assert "the baseline won; the search's own best has" in said


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_labels_of_several_processes_are_those_of_one(zoo, here, jobs):
    args = ("search", "--zoo", zoo, "--length", "6", "--label-images", "8", "--optimizer", "random", *SMALL)
    args += ("--budget", 4 * max(_latency(zoo)), "--labels", "21")
    assert cli(*args, "--output", "one").exit_code == 0
    outcome = cli(*args, "--executor", "joblib", "--jobs", jobs, "--output", "several")
    assert outcome.exit_code == 0, outcome.output
    one, several = (ScheduleDataset.read(f"{name}/schedules.parquet") for name in ("one", "several"))
    assert np.array_equal(one.X, several.X)
    np.testing.assert_allclose(several.y, one.y, rtol=1e-4)
    assert not Path("several/labels.work").exists()
    # Where labels are sampled is no part of what a search is: it goes on in this process.
    more = cli(*args[:-1], "22", "--output", "several")
    assert more.exit_code == 0, more.output


def test_members_that_take_part_are_told_by_the_zoos_numbers(zoo, here):
    args = ("search", "--zoo", zoo, "--length", "6", "--label-images", "8", "--optimizer", "random", *SMALL)
    outcome = cli(*args, "--members", "1,3", "--budget", 4 * max(_latency(zoo)), "--labels", "20", "--output", "out")
    assert outcome.exit_code == 0, outcome.output
    told = "members are counted among those that take part: 1 is the zoo's 1, 2 is the zoo's 3"
    assert told in " ".join(outcome.output.split())
    (winner,) = RunResult.read("out").winners
    assert set(winner.schedule) <= {0, 1, 2}
    assert set(np.ravel(read_source("out/winners.csv").renumbered(3)).tolist()) <= {0, 1, 3}


def test_labels_are_sampled_on_a_cluster(zoo, here):
    distributed = pytest.importorskip("distributed")
    args = ("search", "--zoo", zoo, "--length", "6", "--label-images", "8", "--optimizer", "random", *SMALL)
    args += ("--budget", 4 * max(_latency(zoo)), "--labels", "20")
    assert cli(*args, "--output", "one").exit_code == 0
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, scheduler_port=0
    ) as cluster:
        workers = ("--executor", "dask", "--scheduler", cluster.scheduler_address, "--device", "cpu")
        outcome = cli(*args, *workers, "--output", "cluster")
    assert outcome.exit_code == 0, outcome.output
    one, there = (ScheduleDataset.read(f"{name}/schedules.parquet") for name in ("one", "cluster"))
    assert np.array_equal(one.X, there.X)
    np.testing.assert_allclose(there.y, one.y, rtol=1e-4)


@pytest.fixture
def few_images(plugins):
    """``digits-ddim`` with few images a label, registered as ``few``."""
    benchmark = load_benchmark("digits-ddim")
    few = replace(benchmark, measurement=benchmark.measurement.with_noise(images=16, seed=0))
    plugins.add("omsdpm.benchmarks", few=lambda: few)
    return few


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_run_samples_its_labels_in_several_processes(few_images, here, jobs):
    args = ("run", "--benchmark", "few", "--active", "--optimizer", "random", "--no-validate")
    args += ("--evaluations", "200", "--budget", "200", "--labels", "21")
    assert cli(*args, "--output", "one").exit_code == 0
    outcome = cli(*args, "--executor", "joblib", "--jobs", jobs, "--output", "several")
    assert outcome.exit_code == 0, outcome.output
    one, several = (ScheduleDataset.read(f"{name}/labels.parquet") for name in ("one", "several"))
    assert np.array_equal(one.X, several.X)
    np.testing.assert_allclose(several.y, one.y, rtol=1e-4)
    assert not Path("several/labels.work").exists()
    assert "--executor" not in RunResult.read("several").settings.command()  # which says what was done, not where
    more = cli(*args[:-1], "22", "--output", "several")  # goes on in this process
    assert more.exit_code == 0, more.output


@pytest.mark.parametrize(
    "given, message",
    [
        (("--executor", "joblib"), "--executor joblib samples the labels of --active, or runs the cells of lists"),
        (("--active", "--jobs", "2"), "--jobs is of --executor joblib: give that too"),
        (
            ("--active", "--executor", "joblib", "--benchmark", "digits-tab"),
            "--executor joblib samples labels, and digits-tab has its own way to measure schedules, such as a table",
        ),
        (
            ("--executor", "joblib", "--predictor-checkpoint", "x", "--latency", "y", "--budget", "1"),
            "--executor with --predictor-checkpoint, which searches without a benchmark: give either",
        ),
    ],
)
def test_workers_of_a_run_without_labels_are_refused(here, given, message):
    outcome = cli("run", *given)
    assert outcome.exit_code == 2 and message in outcome.stderr.splitlines()[-1]
    assert not list(here.iterdir())


def test_a_search_that_was_stopped_has_the_shards_that_were_done(zoo, here, monkeypatch):
    from omsdpm.dataset import build

    args = ("search", "--zoo", zoo, "--length", "6", "--label-images", "8", "--optimizer", "random", *SMALL)
    args += ("--budget", 4 * max(_latency(zoo)), "--labels", "20", "--executor", "joblib", "--jobs", "1")
    own, measured = build.measure_shard, []

    def stops(measurement, shard, device, threads):
        if len(measured) == 1:
            raise KeyboardInterrupt
        measured.append(shard.X)
        return own(measurement, shard, device, threads)

    monkeypatch.setattr(build, "measure_shard", stops)
    sizes = iter((2,))  # the first batch is cut into two shards, which are measured one after the other
    monkeypatch.setattr(build.Pool, "in_flight", property(lambda pool: next(sizes, 1)))
    assert cli(*args, "--output", "out").exit_code == 1
    assert len(list(Path("out/labels.work").glob("*/*"))) >= 1
    again, sizes = [], iter((2,))
    monkeypatch.setattr(build, "measure_shard", lambda *given: again.append(given[1].X) or own(*given))
    outcome = cli(*args, "--output", "out")
    assert outcome.exit_code == 0, outcome.output
    assert len(again) == 2 and not any(np.array_equal(measured[0], X) for X in again)


@pytest.mark.parametrize(
    "given, message",
    [
        (("--jobs", "2"), "--jobs is of --executor joblib: give that too"),
        (("--scheduler", "tcp://nowhere:1"), "--scheduler is of --executor dask: give that too"),
        (("--executor", "dask"), "executor 'dask' needs the address of a scheduler: give --scheduler ADDRESS"),
    ],
)
def test_workers_that_cannot_be_are_one_line(zoo, here, given, message):
    outcome = cli("search", "--zoo", zoo, "--length", "6", "--label-images", "8", "--budget", "9", *SMALL, *given)
    assert outcome.exit_code == 2 and message in outcome.stderr.splitlines()[-1]


def _latency(zoo):
    import tomllib

    return tomllib.loads((Path(zoo) / "latency.toml").read_text())["ms"]


@pytest.mark.parametrize(
    "options, message",
    [
        ((), "a search needs a latency budget: give --budget MS"),
        (("--budget", "0.000001"), "budget 1e-06 ms: the cheapest schedule"),
        (("--budget", "1000", "--metric", "fid"), "metric 'fid' needs real images to compare with"),
        (("--budget", "1000", "--labels", "3"), "3 labels: the start design alone has 20"),
        (("--budget", "1000", "--solver", "dmi"), "'dmi' is not one of 'ddim'"),
    ],
)
def test_a_search_that_cannot_be_is_one_line(zoo, here, options, message):
    outcome = cli("search", "--zoo", zoo, "--length", "6", *options)
    assert outcome.exit_code == 2, outcome.output
    assert message in outcome.stderr and "Traceback" not in outcome.stderr
    assert not list(here.rglob("*.parquet"))
