"""The best baselines' scores that are kept for reports."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import Benchmark, load_benchmark
from benchmarks.building import build_baselines
from benchmarks.problem import GRID
from benchmarks.report import REPORT_FILE, REPORT_SEEDS, build_report, read_report
from omsdpm import InputError
from omsdpm.dataset.build import Workers, build_dataset
from omsdpm.dataset.recipe import Recipe

FILE = """
name = "small"
summary = "a small benchmark"
budgets = [3, 6]

[measurement]
zoo = {zoo}
solver = "ddim"
length = 4
images = 6
seed = 0

[validation]
images = 8
seeds = [21, 3002]

[[round]]
name = "labels"
design = "random"
n = 6
split = "train"
null = 0.5
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_zoo):
    folder = tmp_path_factory.mktemp("report") / "small"
    folder.mkdir()
    (folder / "benchmark.toml").write_text(FILE.replace("{zoo}", json.dumps(str(tiny_zoo))))
    build_dataset(Recipe.read(folder), Workers())
    build_baselines(Benchmark.read(folder), Workers())
    build_report(Benchmark.read(folder), Workers())
    return folder


@pytest.fixture
def benchmark(folder):
    return Benchmark.read(folder)


def best(benchmark):
    return np.array([benchmark.best_baseline(budget).schedule for budget in benchmark.budgets])


def test_the_best_baseline_is_of_the_best_validated_mean(benchmark):
    for budget in (*benchmark.budgets, 4.0):
        within = [baseline for baseline in benchmark.baselines if baseline.latency <= budget]
        assert benchmark.best_baseline(budget).mean == min(np.mean(baseline.scores) for baseline in within)
    assert benchmark.best_baseline(0.5) is None


def test_kept_scores_are_what_sampling_gives(benchmark):
    assert benchmark.report.images == 8
    assert benchmark.report.seeds == tuple(seed for seed in REPORT_SEEDS if seed != 3002)  # which chose the baselines
    X, seeds = best(benchmark), (3001, 3003)
    sampled = benchmark.validate(X, images=8, seeds=seeds)
    np.testing.assert_allclose(benchmark.report.of(benchmark.space, X, 8, seeds), sampled.scores, rtol=1e-5)


def test_other_images_seeds_and_schedules_are_not_known(benchmark):
    X = best(benchmark)
    report, space = benchmark.report, benchmark.space
    assert np.isnan(report.of(space, X, 7, (3001,))).all()
    assert np.isnan(report.of(space, X, 8, (3001, 21))).all()
    assert np.isnan(report.of(space, [[0, 3, 2, 1]], 8, (3001,))).all()


def test_what_is_known_is_sampled_for_a_look_only(benchmark, monkeypatch):
    """Scores stay as they are given, and the images are those of the whole sampling."""
    X = np.concatenate([best(benchmark), [[0, 3, 2, 1]]])
    whole = benchmark.validate(X, images=8, seeds=(3001, 3003))
    known = benchmark.report.of(benchmark.space, X, 8, (3001, 3003))
    from omsdpm.scoring.measurement import Meter

    measured, measure = [], Meter.measure
    monkeypatch.setattr(Meter, "measure", lambda self, X, **how: measured.append(X) or measure(self, X, **how))
    done = []
    part = benchmark.validate(X, images=8, seeds=(3001, 3003), known=known, progress=lambda *at: done.append(at))
    assert [x.tolist() for x in measured] == [[[0, 3, 2, 1]]] * 2
    assert done[-1] == (16, 16)
    np.testing.assert_array_equal(part.scores[:2], known[:2])
    np.testing.assert_allclose(part.scores[2], whole.scores[2], rtol=1e-5)
    np.testing.assert_allclose(part.images, whole.images, atol=1e-5)
    assert part.images.shape[1] == min(GRID, 8)


def test_building_again_measures_nothing(benchmark, monkeypatch):
    monkeypatch.setattr("benchmarks.building.measure_sharded", None)
    assert build_report(benchmark, Workers()).seeds == benchmark.report.seeds
    assert not (benchmark.folder / "build" / "report").exists()


def test_scores_of_another_measurement_are_refused(benchmark):
    path = benchmark.folder / "measured.json"
    text = path.read_text()
    table = json.loads(text)
    table["report"]["member 1"] = "0" * 32
    path.write_text(json.dumps(table))
    try:
        with pytest.raises(InputError, match=r"report\.parquet was measured with"):
            build_report(benchmark, Workers())
    finally:
        path.write_text(text)


@pytest.mark.parametrize("damage", ["bytes", "shape", "nan", "schedule", "columns", "seeds"])
def test_a_damaged_file_is_told(benchmark, tmp_path, damage):
    table = pq.read_table(benchmark.folder / REPORT_FILE).to_pylist()
    path = tmp_path / REPORT_FILE
    if damage == "bytes":
        path.write_bytes(b"PAR1")
    else:
        if damage == "shape":
            table[0]["scores"] = table[0]["scores"][:2]
        elif damage == "nan":
            table[0]["scores"][0] = float("nan")
        elif damage == "schedule":
            table[0]["schedule"] = [9, 9, 9, 9]
        elif damage == "seeds":
            table[0]["seeds"] = [1]
        else:
            table = [{"schedule": row["schedule"]} for row in table]
        pq.write_table(pa.Table.from_pylist(table), path)
    with pytest.raises(InputError, match=r"report\.parquet does not hold baselines' report scores"):
        read_report(path, benchmark.space)


@pytest.mark.parametrize("name", ["digits-ddim", "digits-dpm", "digits-tab"])
def test_the_embedded_benchmarks_keep_theirs(name):
    benchmark = load_benchmark(name)
    images = benchmark.report.images
    kept = benchmark.report.of(benchmark.space, best(benchmark), images, REPORT_SEEDS)
    assert np.isfinite(kept).all() and kept.shape == (len(benchmark.budgets), len(REPORT_SEEDS))
    assert images == min(benchmark.validation_images, 1000)
