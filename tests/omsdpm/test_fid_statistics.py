"""Statistics of features: equal to NumPy's, in batches, and pytorch-fid's files."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omsdpm.errors import InputError
from omsdpm.fid import Moments, Statistics, frechet_distance


def features(n: int = 40, d: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)) * np.arange(1, d + 1) + 3


def test_equals_numpy():
    data = features()
    statistics = Statistics.of(data)
    np.testing.assert_allclose(statistics.mu, data.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(statistics.sigma, np.cov(data, rowvar=False), rtol=1e-12, atol=1e-13)
    assert (statistics.n, statistics.dim) == (40, 5)


@settings(max_examples=50, deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=6), offset=st.sampled_from([0.0, 1e6]))
def test_batches_change_nothing(cuts, offset):
    data = features(60) + offset
    batches = np.split(data, sorted(cuts))
    merged = Statistics.of_batches(batches)
    assert merged.n == 60
    np.testing.assert_allclose(merged.mu, data.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(merged.sigma, np.cov(data, rowvar=False), atol=1e-7 if offset else 1e-12)


def test_float32_features_are_summed_in_float64():
    data = (features(1000) + 1e4).astype(np.float32)
    np.testing.assert_allclose(
        Statistics.of(data).sigma, np.cov(data.astype(np.float64), rowvar=False), rtol=1e-9, atol=1e-9
    )


def test_accumulator_goes_on_after_it_was_read():
    moments = Moments()
    moments.update(features(10))
    early = moments.statistics()
    before = early.mu.copy(), early.sigma.copy()
    moments.update(features(10, seed=1))
    np.testing.assert_array_equal(early.mu, before[0])
    np.testing.assert_array_equal(early.sigma, before[1])
    assert moments.statistics().n == 20


def test_distance_is_the_frechet_distance():
    first, second = Statistics.of(features()), Statistics.of(features(seed=1))
    assert first.distance(second) == frechet_distance(first.mu, first.sigma, second.mu, second.sigma)
    assert first.distance(first) == pytest.approx(0, abs=1e-12)
    assert first.reference is first.reference


def test_one_feature():
    assert Statistics.of([[1.0], [3.0]]).sigma == [[2.0]]


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_images(n):
    with pytest.raises(InputError, match=rf"features of {n} image.*at least 2"):
        Statistics.of(np.zeros((n, 4)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros(4), r"shape \(4,\): expected \(n, d\)"),
        (np.zeros((3, 0)), r"expected \(n, d\)"),
        ([[0, np.nan], [0, 1]], "NaN or infinity"),
        ([[0, np.inf], [0, 1]], "NaN or infinity"),
        ([["a"], ["b"]], "real numbers"),
    ],
)
def test_bad_features(data, message):
    with pytest.raises(InputError, match=message):
        Statistics.of(data)


def test_batches_of_different_networks():
    with pytest.raises(InputError, match="3 features after one of 5"):
        Statistics.of_batches([features(), features(d=3)])


def test_distance_between_different_networks():
    with pytest.raises(InputError, match="same feature network"):
        Statistics.of(features()).distance(Statistics.of(features(d=3)))


def test_written_and_read_back(tmp_path):
    path = tmp_path / "digits.npz"
    written = Statistics.of(features())
    written.write(path)
    read = Statistics.read(path)
    np.testing.assert_array_equal(read.mu, written.mu)
    np.testing.assert_array_equal(read.sigma, written.sigma)
    assert read.n == 40
    assert [file.name for file in tmp_path.iterdir()] == ["digits.npz"]


def test_reads_a_file_of_pytorch_fid_and_writes_one_it_reads(tmp_path):
    data = features()
    theirs = tmp_path / "theirs.npz"
    np.savez_compressed(theirs, mu=data.mean(axis=0), sigma=np.cov(data, rowvar=False))
    read = Statistics.read(theirs)
    assert read.n is None
    assert read.distance(Statistics.of(data)) == pytest.approx(0, abs=1e-10)

    pytorch_fid = pytest.importorskip("pytorch_fid.fid_score")
    read.write(tmp_path / "ours.npz")
    mu, sigma = pytorch_fid.compute_statistics_of_path(str(tmp_path / "ours.npz"), None, 1, 5, "cpu")
    np.testing.assert_array_equal(mu, read.mu)
    np.testing.assert_array_equal(sigma, read.sigma)


def test_bad_files(tmp_path):
    with pytest.raises(InputError, match=r"cannot read statistics .*No such file"):
        Statistics.read(tmp_path / "none.npz")
    with pytest.raises(InputError, match="is a folder: expected an"):
        Statistics.read(tmp_path)

    text = tmp_path / "text.npz"
    text.write_text("mu,sigma\n")
    empty = tmp_path / "empty.npz"
    empty.touch()
    whole = tmp_path / "whole.npz"
    Statistics.of(features()).write(whole)
    truncated = tmp_path / "truncated.npz"
    truncated.write_bytes(whole.read_bytes()[:-100])
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, mu=np.array([None, 1], dtype=object), sigma=np.eye(2))
    for path in (text, empty, truncated, pickled):
        with pytest.raises(InputError, match=f"{path}"):
            Statistics.read(path)

    single = tmp_path / "single.npy"
    np.save(single, np.eye(3))
    with pytest.raises(InputError, match="single array"):
        Statistics.read(single)
    lacking = tmp_path / "lacking.npz"
    np.savez(lacking, mu=np.zeros(3), cov=np.eye(3))
    with pytest.raises(InputError, match="lack sigma: it holds mu, cov"):
        Statistics.read(lacking)
    mismatched = tmp_path / "mismatched.npz"
    np.savez(mismatched, mu=np.zeros(3), sigma=np.eye(2))
    with pytest.raises(InputError, match=r"mismatched.npz: mean of shape \(3,\)"):
        Statistics.read(mismatched)
