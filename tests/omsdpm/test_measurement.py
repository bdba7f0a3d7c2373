"""Measurements: which members, spaces, noise and scores they stand for."""

import shutil

import numpy as np
import pytest
import torch

from omsdpm import DDIMSpace, DPMSolverSpace, InputError, ModelZoo
from omsdpm.fid import Statistics
from omsdpm.noise import DiscreteVP, LinearVP
from omsdpm.sampling import Count, sample
from omsdpm.scoring import measurement as module
from omsdpm.scoring.features import make_features
from omsdpm.scoring.measurement import Measurement, measurement_from_table, usual_metric
from omsdpm.scoring.metrics import Context
from omsdpm.scoring.reference import digits_statistics
from omsdpm.zoo.files import write_latency_card


@pytest.fixture
def ddim(tiny_zoo):
    return Measurement(str(tiny_zoo), "ddim", 4, images=6, seed=3)


def test_what_a_measurement_stands_for(ddim):
    assert ddim.space == DDIMSpace(3, 4) and ddim.numbers == (1, 2, 3)
    assert ddim.latency == [1.0, 2.0, 4.0]
    assert ddim.noise == DiscreteVP.linear(1e-4, 0.02)
    fresh = ddim.with_noise(images=8, seed=9)
    assert (fresh.images, fresh.seed, fresh.zoo, fresh.space) == (8, 9, ddim.zoo, ddim.space)


def test_dpm_solvers_take_the_continuous_schedule(tiny_zoo):
    measurement = Measurement(str(tiny_zoo), "dpm-solver", 9)
    assert measurement.space == DPMSolverSpace(3, 3)
    assert measurement.noise == LinearVP(0.1, 20.0, 1000)


def test_members_may_be_left_out(tiny_zoo):
    measurement = Measurement(str(tiny_zoo), "ddim", 4, members=(3, 1), images=6)
    assert measurement.space == DDIMSpace(2, 4) and measurement.latency == [4.0, 1.0]
    assert [member.name for member in measurement.open().zoo.members] == ["3", "1"]
    whole = Measurement(str(tiny_zoo), "ddim", 4, images=6)
    np.testing.assert_allclose(
        measurement.open().measure([[1, 0, 2, 2]]), whole.open().measure([[3, 0, 1, 1]]), rtol=1e-6
    )


def test_a_score_is_the_distance_of_sampled_images(ddim, tiny_zoo):
    """The same, step by step, from the parts."""
    X = np.array([[1, 0, 3, 0], [2, 2, 2, 2], [0, 0, 0, 1]])
    network = make_features("digits")
    reference = digits_statistics(network)
    zoo = ModelZoo.load(tiny_zoo)
    x_T = zoo.starting_noise(6, seed=3)
    expected = []
    for x in X:
        images = sample(zoo.denoisers, x, x_T, space=ddim.space, noise=ddim.noise)
        expected.append(reference.distance(Statistics.of(network(images))))
    count, told = Count(), []
    y = ddim.open().measure(X, count=count, progress=lambda *done: told.append(done))
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    assert told == [(6, 18), (12, 18), (18, 18)]
    assert count.one_by_one == ddim.space.nfe(X).sum() >= count.evaluations > 0
    assert not np.allclose(ddim.with_noise(images=6, seed=4).open().measure(X), y, rtol=1e-5)


def test_many_images_are_scored_in_parts(ddim, monkeypatch):
    X = [[1, 0, 3, 0], [2, 2, 2, 2]]
    seen = []

    def keep(row, first, x_0):
        seen.append((row, first, len(x_0)))

    whole = ddim.open().measure(X, keep=keep)
    assert sorted(seen) == [(0, 0, 6), (1, 0, 6)]
    monkeypatch.setattr(module, "BATCH_SIZE", 4)
    told = []
    seen.clear()
    parts = ddim.open().measure(X, keep=keep, progress=lambda *done: told.append(done))
    np.testing.assert_allclose(parts, whole, rtol=1e-4)
    assert told == [(4, 12), (8, 12), (10, 12), (12, 12)]
    assert sorted(seen) == [(0, 0, 4), (0, 4, 2), (1, 0, 4), (1, 4, 2)]


def test_sampling_gives_each_rows_images(ddim):
    meter = ddim.open()
    X = [[1, 0, 3, 0], [0, 0, 0, 1]]
    sampled = dict(meter.sample(X, images=3, seed=8))
    assert sorted(sampled) == [0, 1] and sampled[0].shape == (3, 1, 8, 8)
    again = dict(meter.sample(X[1:], images=3, seed=8))
    torch.testing.assert_close(sampled[1], again[0])


@pytest.mark.parametrize("wrong", [[[0, 0, 0, 0]], [[4, 0, 0, 0]], [[1, 0, 0]]])
def test_invalid_schedules_are_not_measured(ddim, wrong):
    with pytest.raises(InputError):
        ddim.open().measure(wrong)


def test_references_are_folders_or_files_too(ddim, tmp_path):
    from PIL import Image

    dim = make_features("digits").dim
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for i in range(3):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / "images" / f"{i}.png")

    def load(reference):
        return Context((1, 8, 8), reference=str(reference)).statistics("digits")

    folder, digits = load(tmp_path / "images"), load("digits")
    assert folder.dim == digits.dim == dim and folder.distance(digits) > 1
    np.savez(tmp_path / "other.npz", mu=np.zeros(3), sigma=np.eye(3))
    with pytest.raises(InputError, match=r"other\.npz has 3 features: DigitNetwork has 64"):
        load(tmp_path / "other.npz")
    with pytest.raises(InputError, match=r"absent\.npz"):
        load(tmp_path / "absent.npz")


def test_a_zoo_without_a_fitting_latency_table_is_named(tiny_zoo, tmp_path):
    zoo = shutil.copytree(tiny_zoo, tmp_path / "zoo")
    (zoo / "latency.toml").unlink()
    with pytest.raises(InputError, match="has no latency table: run `omsdpm-bench zoo profile` first"):
        Measurement(str(zoo), "ddim", 4).latency  # noqa: B018
    write_latency_card(zoo, {"ms": [1.0, 2.0]})
    with pytest.raises(InputError, match=r"latency\.toml has 2 latencies for 3 members"):
        Measurement(str(zoo), "ddim", 4).latency  # noqa: B018


def test_a_table_is_read_relative_to_its_file(tmp_path):
    table = {"zoo": "../zoo", "solver": "ddim", "length": 5, "members": [2, 1], "reference": "stats.npz"}
    measurement = measurement_from_table(table, tmp_path / "benchmark")
    assert measurement.zoo == str(tmp_path / "zoo")
    assert measurement.reference == str(tmp_path / "benchmark" / "stats.npz")
    assert measurement.members == (2, 1)
    assert table["zoo"] == "../zoo"  # the table is the caller's
    absolute = measurement_from_table({**table, "zoo": str(tmp_path), "reference": "digits"}, tmp_path / "b")
    assert (absolute.zoo, absolute.reference) == (str(tmp_path), "digits")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": 5}, "unknown key 'image'; choose one of: images"),
        ({"solver": None}, "lacks the key 'solver'"),
        ({"images": 1}, "images = 1, expected greater"),
        ({"images": "many"}, "images = 'many', expected a whole number"),
        ({"length": 5.5}, "length = 5.5, expected a whole number"),
        ({"seed": True}, "seed = True, expected a whole number"),
        ({"zoo": 3}, "zoo = 3, expected text"),
        ({"members": 2}, "members = 2, expected a list"),
        ({"spacing": "log", "solver": "dpm-solver", "length": 9}, "spacing 'log': choose one of .*logSNR"),
        ({"spacing": "time_uniform", "solver": "ddim"}, "spacing 'time_uniform': ddim has none"),
    ],
)
def test_tables_with_a_mistake_are_refused(tmp_path, change, message):
    table = {"zoo": "zoo", "solver": "ddim", "length": 5} | change
    with pytest.raises(InputError, match=message):
        measurement_from_table({key: value for key, value in table.items() if value is not None}, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": (1, 4)}, "member 4: zoo .* has members 1..3"),
        ({"members": (0,)}, "member 0"),
        ({"solver": "dddim"}, "unknown solver 'dddim'; choose one of: ddim"),
        ({"length": 0}, "0"),
    ],
)
def test_measurements_that_fit_no_space_are_refused(tiny_zoo, change, message):
    given = {"zoo": str(tiny_zoo), "solver": "ddim", "length": 4} | change
    with pytest.raises(InputError, match=message):
        Measurement(**given).space  # noqa: B018


def test_an_unknown_metric_is_refused(tiny_zoo):
    with pytest.raises(InputError, match="fd-digit"):
        Measurement(str(tiny_zoo), "ddim", 4, metric="fd-digit", images=4).open().measure([[1, 0, 0, 0]])


def test_only_the_metrics_parameters_may_change(tiny_zoo, tmp_path):
    fid = Measurement(str(tiny_zoo), "ddim", 4, metric="fid")
    other = fid.with_metric(f"fid[weights={tmp_path}/w.pth]")
    assert other.metric == f"fid[weights={tmp_path}/w.pth]" and other.score_name == fid.score_name == "fid"
    assert fid.with_metric("fid") == fid
    with pytest.raises(InputError, match="metric 'fid': scores here are fd-digits, of which only parameters may"):
        Measurement(str(tiny_zoo), "ddim", 4).with_metric("fid")
    with pytest.raises(InputError, match="unknown parameter of metric 'fid' 'wieghts'; choose one of: weights"):
        fid.with_metric("fid[wieghts=w.pth]")


def test_the_usual_metric_of_digits_and_of_other_images():
    assert usual_metric((1, 8, 8)) == "fd-digits"
    assert usual_metric((1, 8, 8), "stats.npz") == usual_metric((3, 32, 32)) == "fid"
