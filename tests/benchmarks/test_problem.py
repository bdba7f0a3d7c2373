"""A benchmark's folder, built small and for real."""

import json
import shutil

import numpy as np
import pytest

import benchmarks
from benchmarks import Baseline, Benchmark, load_benchmark
from benchmarks.baselines import all_baselines
from benchmarks.building import build_baselines
from benchmarks.stored import read_baselines, write_baselines
from omsdpm import DDIMSpace, InputError, ModelZoo
from omsdpm.dataset.build import Workers, build_dataset
from omsdpm.dataset.recipe import Recipe
from omsdpm.solvers import SolverOptions

FILE = """
name = "small"
summary = "a small benchmark"
budgets = [6, 3]

[measurement]
zoo = {zoo}
solver = "ddim"
length = 4
images = 6
seed = 7

[validation]
images = 8
seeds = [21, 22]

[[round]]
name = "random"
design = "random"
n = 12
split = "train"
null = 0.5

[[round]]
name = "held-out"
design = "random"
n = 5
split = "test"
null = 0.5
"""


def write(folder, zoo, text=FILE):
    folder.mkdir(exist_ok=True)
    (folder / "benchmark.toml").write_text(text.replace("{zoo}", json.dumps(str(zoo))))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_zoo):
    """A built benchmark."""
    folder = write(tmp_path_factory.mktemp("benchmark") / "small", tiny_zoo)
    build_dataset(Recipe.read(folder), Workers())
    build_baselines(Benchmark.read(folder), Workers())
    return folder


@pytest.fixture
def benchmark(folder):
    return Benchmark.read(folder)


def test_a_folder_is_read(benchmark, folder):
    assert (benchmark.name, benchmark.summary, benchmark.folder) == ("small", "a small benchmark", folder)
    assert benchmark.space == DDIMSpace(3, 4)
    assert benchmark.budgets == [3.0, 6.0]
    assert benchmark.latency == [1.0, 2.0, 4.0] and benchmark.latency_card["device"] == "test"
    assert benchmark.metric == "fd-digits"
    assert benchmark.validation == (8, (21, 22))
    assert benchmark.repeat is None
    assert isinstance(benchmark.zoo(), ModelZoo) and len(benchmark.zoo().members) == 3
    assert load_benchmark(str(folder)) == benchmark


def test_evaluate_measures_what_the_dataset_holds(benchmark):
    """The schedules one by one, in another order and company than when they were built."""
    dataset = benchmark.dataset
    assert len(dataset) == 17 and len(dataset.subset("test")) == 5
    rows = np.random.default_rng(0).permutation(len(dataset))[:6]
    told = []
    scores = benchmark.evaluate(dataset.X[rows], progress=lambda *done: told.append(done))
    np.testing.assert_allclose(scores, dataset.y[rows], rtol=1e-5)
    assert told == [(6 * n, 36) for n in range(1, 7)]
    np.testing.assert_allclose(benchmark.evaluate(dataset.X[:1]), dataset.y[:1], rtol=1e-5)


@pytest.mark.parametrize("wrong", [[[0, 0, 0, 0]], [[1, 2, 3]], [[1, 2, 3, 4]]])
def test_invalid_schedules_are_refused(benchmark, wrong):
    with pytest.raises(InputError):
        benchmark.evaluate(wrong)
    with pytest.raises(InputError):
        benchmark.validate(wrong)


def test_baselines_are_validated_with_the_benchmarks_noise(benchmark):
    named = all_baselines(benchmark.space, benchmark.latency, benchmark.budgets)
    assert [(b.kind, b.name) for b in benchmark.baselines] == [(b.kind, b.name) for b in named]
    assert {b.kind for b in benchmark.baselines} == {"single", "stitch"}
    for stored, fresh in zip(benchmark.baselines, named, strict=True):
        np.testing.assert_array_equal(stored.schedule, fresh.x)
        assert stored.latency == benchmark.space.latency(fresh.x[None], benchmark.latency)[0] <= 6
    some = benchmark.baselines[:3]
    again = benchmark.validate(np.array([b.schedule for b in some]))
    np.testing.assert_allclose(again.scores, [b.scores for b in some], rtol=1e-5)


def test_building_baselines_again_measures_nothing(benchmark, monkeypatch):
    monkeypatch.setattr("benchmarks.building.measure_sharded", None)
    assert len(build_baselines(benchmark, Workers())) == len(benchmark.baselines)
    assert not (benchmark.folder / "build" / "baselines").exists()


def test_baselines_survive_their_file(benchmark, tmp_path):
    given = [
        Baseline("single", "one", np.array([0, 0, 0, 3]), 4.0, np.array([1.5, 2.5])),
        Baseline("stitch", "two, with a comma", np.array([2, 0, 1, 1]), 4.0, np.array([0.1, 0.3])),
    ]
    write_baselines(tmp_path / "b.parquet", given)
    read = read_baselines(tmp_path / "b.parquet", benchmark.space, benchmark.latency)
    for one, two in zip(given, read, strict=True):
        assert (one.kind, one.name, one.latency) == (two.kind, two.name, two.latency)
        np.testing.assert_array_equal(one.schedule, two.schedule)
        np.testing.assert_array_equal(one.scores, two.scores)
    assert read[0].mean == 2.0 and read[0].std == pytest.approx(0.5**0.5)
    alone = Baseline("single", "once", np.array([1, 0, 0, 0]), 1.0, np.array([3.0]))
    assert (alone.mean, alone.std) == (3.0, 0.0)


def test_validation_draws_fresh_noise_of_every_seed(benchmark):
    X = np.array([[1, 0, 3, 0], [2, 2, 2, 2]])
    told = []
    outcome = benchmark.validate(X, images=5, seeds=[31, 32, 33], progress=lambda *step: told.append(step))
    assert outcome.scores.shape == (2, 3) and len(np.unique(outcome.scores)) == 6
    assert outcome.images.shape == (2, 5, 1, 8, 8)
    assert outcome.latency_ms.shape == (2,) and outcome.latency_ms.min() > 0
    assert told[-1] == (30, 30)
    alone = benchmark.validate(X[1:], images=5, seeds=[33])
    np.testing.assert_allclose(alone.scores[0, 0], outcome.scores[1, 2], rtol=1e-5)
    # The first seed's images, row by row.
    sampled = dict(benchmark.measurement.open().sample(X, images=5, seed=31))
    np.testing.assert_allclose(outcome.images[0], sampled[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(outcome.images[1], sampled[1].numpy(), atol=1e-5)


def test_the_datasets_noise_validates_nothing(benchmark, tmp_path, tiny_zoo):
    with pytest.raises(InputError, match="validation seed 7 is the dataset's noise: use another"):
        benchmark.validate([[1, 0, 0, 0]], seeds=[21, 7])
    spoiled = write(tmp_path / "b", tiny_zoo, FILE.replace("[21, 22]", "[7, 22]"))
    with pytest.raises(InputError, match=r"benchmark\.toml: validation seed 7 is the dataset's noise"):
        Benchmark.read(spoiled)


def test_the_hash_tells_other_data_apart(folder, tmp_path, tiny_zoo):
    before = Benchmark.read(folder).data_hash
    assert len(before) == 16 and int(before, 16)
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert Benchmark.read(copy).data_hash == before
    recipe = (copy / "benchmark.toml").read_text()
    (copy / "benchmark.toml").write_text(f'notes = "prose"\n# a comment\n{recipe}')
    assert Benchmark.read(copy).data_hash == before  # words about the data are no data
    hashes = {before}
    for name, more in {
        "benchmark.toml": b"\n[repeat]\nn = 1\nseed = 9\n",
        "schedules.parquet": b"\n",
        "baselines.parquet": b"\n",
    }.items():
        kept = (copy / name).read_bytes()
        (copy / name).write_bytes(kept + more)
        hashes.add(Benchmark.read(copy).data_hash)
        (copy / name).write_bytes(kept)
    zoo = shutil.copytree(tiny_zoo, tmp_path / "zoo")
    slower = (zoo / "latency.toml").read_text().replace("4.0", "4.5")
    (zoo / "latency.toml").write_text(slower)
    text = (copy / "benchmark.toml").read_text()
    (copy / "benchmark.toml").write_text(text.replace(str(tiny_zoo), str(zoo)))
    hashes.add(Benchmark.read(copy).data_hash)
    assert len(hashes) == 5


def test_a_predictor_knows_the_problem(benchmark):
    predictor = benchmark.predictor("gbdt[trees=20]", random_state=3, threads=1)
    assert (predictor.trees, predictor.threads, predictor.random_state) == (20, 1, 3)
    assert (predictor.space, predictor.noise, predictor.latency) == (
        benchmark.space,
        benchmark.noise,
        benchmark.latency,
    )
    assert getattr(predictor, "options", benchmark.options) == benchmark.options  # of families that take them
    train = benchmark.dataset.subset("train")
    assert np.isfinite(predictor.fit(train.X, train.y).predict(train.X)).all()


def test_what_the_benchmark_settles_is_no_parameter(benchmark):
    for text in ("gbdt[random_state=4]", "gbdt[latency=4]"):
        with pytest.raises(InputError, match="unknown parameter of predictor 'gbdt'"):
            benchmark.predictor(text)
    with pytest.raises(InputError, match="parameter 'trees' is given twice"):
        benchmark.predictor("gbdt[trees=20]", trees=30)
    with pytest.raises(InputError, match="unknown parameter of predictor 'gbdt' 'tree'; choose one of: trees, "):
        benchmark.predictor("gbdt[tree=20]")


def test_the_solver_runs_as_the_measurement_says(folder, tmp_path, tiny_zoo):
    assert Benchmark.read(folder).options == SolverOptions()
    noisy = write(tmp_path / "b", tiny_zoo, FILE.replace("seed = 7", "seed = 7\neta = 0.5"))
    assert Benchmark.read(noisy).options == SolverOptions(eta=0.5)


def test_stored_scores_are_looked_up(benchmark):
    dataset = benchmark.dataset
    assert not benchmark.exhaustive
    np.testing.assert_array_equal(benchmark.stored_scores(dataset.X[::-1]), dataset.y[::-1])
    everything = benchmark.space.enumerate()
    assert np.isfinite(benchmark.stored_scores(everything)).sum() == len(dataset)
    with pytest.raises(InputError, match="all null"):
        benchmark.stored_scores([[0, 0, 0, 0]])


def test_only_parameters_of_the_metric_may_change(benchmark):
    same = benchmark.with_metric("fd-digits")
    assert same.measurement == benchmark.measurement
    with pytest.raises(InputError, match="scores here are fd-digits, of which only parameters may change"):
        benchmark.with_metric("fid")


def test_validation_loads_the_networks_once(benchmark, monkeypatch):
    """Every seed has a measurement of its own, and all of them one zoo."""
    loaded = []
    load = ModelZoo.load.__func__
    monkeypatch.setattr(
        ModelZoo, "load", classmethod(lambda cls, *args, **given: loaded.append(args) or load(cls, *args, **given))
    )
    X = np.array([[1, 0, 3, 0]])
    two = benchmark.validate(X, images=5, seeds=[31, 32])
    assert len(loaded) == 1
    np.testing.assert_allclose(benchmark.validate(X, images=5, seeds=[32]).scores[:, 0], two.scores[:, 1], rtol=1e-6)


def test_a_meter_keeps_its_noise(benchmark):
    meter = benchmark.measurement.open()
    other = meter.with_noise(images=5, seed=9)
    assert (other.zoo, other.metric) == (meter.zoo, meter.metric)
    assert (meter.measurement.seed, meter.measurement.images) == (7, 6)
    assert (other.measurement.seed, other.measurement.images) == (9, 5)


def test_the_package_shows_its_public_names():
    assert dir(benchmarks) == sorted(benchmarks.__all__)
    assert all(getattr(benchmarks, name) is not None for name in dir(benchmarks))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "small"', "", "lacks the key 'name'"),
        ("budgets = [6, 3]", "", "lacks the key 'budgets'"),
        ("budgets = [6, 3]", "budgets = 6", "budgets = 6, expected a list"),
        ("budgets = [6, 3]", 'budgets = ["cheap"]', "cheap"),
        ("seeds = [21, 22]", "seeds = 21", "seeds = 21, expected a list"),
        ("[measurement]", "[measurements]", "unknown key 'measurements'; choose one of: measurement"),
        ("length = 4", "", "lacks the key 'measurement.length'"),
        ("[measurement]", "[measurement", "is not TOML"),
    ],
)
def test_files_with_a_mistake_are_named(tmp_path, tiny_zoo, old, new, message):
    assert old in FILE
    folder = write(tmp_path / "b", tiny_zoo, FILE.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as error:
        Benchmark.read(folder)
    assert str(folder / "benchmark.toml") in str(error.value) and "\n" not in str(error.value)


def test_names_are_matched_to_what_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="unknown benchmark 'digits-dim'; choose one of: digits-ddim"):
        load_benchmark("digits-dim")
    with pytest.raises(InputError, match=r"cannot read absent/benchmark\.toml"):
        Benchmark.read("absent")


def test_a_folder_without_data_says_so(tmp_path, tiny_zoo):
    benchmark = Benchmark.read(write(tmp_path / "b", tiny_zoo))
    assert benchmark.baselines == []
    with pytest.raises(InputError, match=r"schedules\.parquet"):
        benchmark.dataset  # noqa: B018


def test_a_benchmark_that_was_never_built_says_how(tmp_path, tiny_zoo):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "benchmark.toml").write_text(
        f'name = "b"\nsummary = "s"\nbudgets = [3.0]\n[measurement]\nzoo = "{tiny_zoo}"\nsolver = "ddim"\nlength = 2\n'
    )
    with pytest.raises(
        InputError, match=r"benchmark b was never built.*measure its schedules with `omsdpm-bench dataset b"
    ):
        _ = Benchmark.read(tmp_path / "b").dataset


def test_what_a_package_offers_is_listed():
    import benchmarks
    import omsdpm.released

    assert "load_benchmark" in dir(benchmarks) and "read_dataset" in dir(omsdpm.released)


@pytest.mark.parametrize("name", ["../x", "a/b", "/tmp/x", "..", ""])
def test_a_benchmarks_name_is_a_plain_one(tmp_path, tiny_zoo, name):
    (tmp_path / "benchmark.toml").write_text(
        f'name = "{name}"\nsummary = "s"\nbudgets = [3.0]\n'
        f'[measurement]\nzoo = "{tiny_zoo}"\nsolver = "ddim"\nlength = 2\n'
    )
    with pytest.raises(InputError, match=r"name: .*expected letters, digits"):
        Benchmark.read(tmp_path)
