"""Real images and statistics in the files of the field's tools."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from omsdpm import InputError
from omsdpm.fid import Statistics
from omsdpm.images import load_digits_images
from omsdpm.scoring.features import make_features
from omsdpm.scoring.metrics import Context, make_metric
from omsdpm.scoring.reference import Reference, reference_digest

SHAPE = (1, 8, 8)


def pixels(n=40, size=8, channels=None, seed=0):
    shape = (n, size, size) if channels is None else (n, size, size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def rows(x, digits="digits"):
    """Features of bytes ``(n, 8, 8)``."""
    return make_features(digits)(x[:, None].astype(np.float32) / 127.5 - 1)


def png(one):
    file = io.BytesIO()
    Image.fromarray(one).save(file, format="PNG")
    return file.getvalue()


def parquet(path, x, column="image", **more):
    cells = pa.array([{"bytes": png(one), "path": f"{i}.png"} for i, one in enumerate(x)])
    pq.write_table(pa.table({column: cells, "label": list(range(len(x))), **more}), path, row_group_size=7)
    return path


def of(source, shape=SHAPE, features="digits"):
    context = Context(shape, reference=str(source))
    return context.statistics(features), context.real_features(features)


def check_images(source, x):
    statistics, features = of(source)
    np.testing.assert_allclose(features, rows(x), rtol=1e-5, atol=1e-6)
    expected = Statistics.of(rows(x))
    np.testing.assert_allclose(statistics.sigma, expected.sigma, rtol=1e-4, atol=1e-6)
    assert statistics.n == len(x)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OMSDPM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "references"


# -- images -------------------------------------------------------------------------------


def test_parquet_as_hugging_face_writes_it(tmp_path, cache):
    x = pixels()
    check_images(parquet(tmp_path / "a.parquet", x), x)
    assert len(list(cache.glob("*.npz"))) == 2  # kept by content
    (tmp_path / "a.parquet").rename(tmp_path / "b.parquet")
    check_images(tmp_path / "b.parquet", x)
    assert len(list(cache.glob("*.npz"))) == 2


def test_parquet_of_plain_bytes_beside_other_columns(tmp_path):
    x = pixels(9)
    table = pa.table({"img": pa.array([png(one) for one in x], pa.large_binary()), "mask": [b"1"] * 9})
    pq.write_table(table, tmp_path / "a.parquet")
    check_images(tmp_path / "a.parquet", x)


def test_a_folder_of_shards(tmp_path):
    x = pixels(30)
    (tmp_path / "train").mkdir()
    for number in range(3):
        parquet(tmp_path / "train" / f"train-{number:05}-of-00003.parquet", x[10 * number : 10 * (number + 1)])
    check_images(tmp_path / "train", x)
    first = reference_digest(str(tmp_path / "train"))
    parquet(tmp_path / "train" / "train-00002-of-00003.parquet", x[:10])
    assert reference_digest(str(tmp_path / "train")) != first


def test_guided_diffusions_samples(tmp_path):
    x = pixels(20, 16, 3)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "samples.npz", x, np.arange(20))  # arr_0 and arr_1, images and labels
        _, features = of(tmp_path / "samples.npz")
        folder = tmp_path / save.__name__
        folder.mkdir()
        for i, one in enumerate(x):
            Image.fromarray(one).save(folder / f"{i:03}.png")
        np.testing.assert_allclose(features, of(folder)[1], rtol=1e-6)  # the same resizing


def test_statistics_beside_images_are_of_their_own_network(tmp_path):
    x = pixels(20)
    mu, sigma = np.zeros(2048), np.eye(2048)
    np.savez(tmp_path / "reference.npz", arr_0=x[..., None], mu=mu, sigma=sigma, mu_s=mu, sigma_s=sigma)
    check_images(tmp_path / "reference.npz", x)  # of another network they are made of the images
    np.savez(tmp_path / "reference.npz", arr_0=x[..., None], mu=mu[:64], sigma=sigma[:64, :64])
    assert (of(tmp_path / "reference.npz")[0].mu == 0).all()


def test_images_come_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("omsdpm.scoring.reference.BATCH", 16)
    x = pixels(40)
    np.savez(tmp_path / "a.npz", x)
    told = []
    context = Context(SHAPE, reference=str(tmp_path / "a.npz"), progress=lambda *done: told.append(done))
    np.testing.assert_allclose(context.real_features("digits"), rows(x), rtol=1e-5, atol=1e-6)
    assert told == [(16, 40), (32, 40), (40, 40)]


# -- statistics and features ---------------------------------------------------------------


def test_torch_fidelitys_caches(tmp_path):
    from torch_fidelity.metric_fid import fid_features_to_statistics

    features = torch.from_numpy(rows(pixels())).float()
    torch.save(fid_features_to_statistics(features), tmp_path / "statistics.pt")
    torch.save(features, tmp_path / "features.pt")
    expected = Statistics.of(features.numpy())
    given = Context(SHAPE, reference=str(tmp_path / "statistics.pt")).statistics("digits")
    np.testing.assert_allclose(given.sigma, expected.sigma, rtol=1e-5, atol=1e-7)
    statistics, kept = of(tmp_path / "features.pt")
    np.testing.assert_allclose(statistics.sigma, expected.sigma, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(kept, features.numpy())


def test_clean_fids_files(tmp_path):
    features = rows(pixels()).astype(np.float32)
    np.savez_compressed(tmp_path / "fid.npz", mu=features.mean(axis=0), sigma=np.cov(features, rowvar=False))
    np.savez_compressed(tmp_path / "kid.npz", feats=features)
    expected = Statistics.of(features)
    given = Context(SHAPE, reference=str(tmp_path / "fid.npz")).statistics("digits")
    np.testing.assert_allclose(given.mu, expected.mu, rtol=1e-5, atol=1e-6)
    statistics, kept = of(tmp_path / "kid.npz")
    np.testing.assert_allclose(statistics.sigma, expected.sigma, rtol=1e-6, atol=1e-9)
    assert kept.dtype == np.float64 and (kept == features).all()
    metric = make_metric("kid[features=digits]", shape=SHAPE, reference=str(tmp_path / "kid.npz"))
    metric.update(torch.from_numpy(load_digits_images()[:50]), 0)
    assert metric.value() > 0


def test_the_releases_statistics(tmp_path):
    expected = Statistics.of(rows(pixels()))
    torch.save({"m": expected.mu, "s": expected.sigma}, tmp_path / "statistic.pth")
    assert (Context(SHAPE, reference=str(tmp_path / "statistic.pth")).statistics("digits").mu == expected.mu).all()


def test_a_functions_number_of_features_is_asked_of_itself(tmp_path):
    Statistics(np.zeros(64), np.eye(64)).write(tmp_path / "a.npz")
    metric = make_metric("fd[features=torch.nn:Flatten]", shape=SHAPE, reference=str(tmp_path / "a.npz"))
    metric.update(torch.from_numpy(load_digits_images()[:100]), 0)
    assert metric.value() > 0


# -- what cannot be used -------------------------------------------------------------------


def write_nothing_known(path):
    np.savez(path, x=np.zeros(3))


def write_floats(path):
    np.savez(path, np.zeros((3, 8, 8, 1)))


def write_flat(path):
    np.savez(path, pixels(3).reshape(3, 64))


def write_other_dim(path):
    np.savez(path, feats=np.zeros((5, 7)))


def write_cut(path):
    np.savez(path, pixels(40))
    path.write_bytes(path.read_bytes()[:1500])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (write_nothing_known, "statistics .*a.npz lack mu and sigma: it holds x"),
        (write_floats, "a.npz: arr_0 holds float64, expected bytes"),
        (write_flat, r"a.npz: arr_0 has shape \(3, 64\), expected \(n, H, W, C\)"),
        (write_other_dim, "a.npz has 7 features: DigitNetwork has 64"),
        (write_cut, "a.npz is no readable .npz"),
    ],
)
def test_archives_that_cannot_be_used(tmp_path, write, message):
    write(tmp_path / "a.npz")
    with pytest.raises(InputError, match=message) as error:
        of(tmp_path / "a.npz")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"text": ["a", "b"]}, "a.parquet have no column of bytes: expected one of encoded images"),
        ({"one": [b"1"], "two": [b"2"]}, r"have several columns of bytes \(one, two\): expected one"),
        ({"image": [b"no image"]}, "cannot read image .*a.parquet, row 0: cannot identify image file"),
        ({"image": [{"bytes": None, "path": "x.png"}, {"bytes": b"", "path": None}]}, "row 0: it holds no bytes"),
    ],
)
def test_parquet_that_cannot_be_used(tmp_path, table, message):
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=message) as error:
        of(tmp_path / "a.parquet")
    assert "\n" not in str(error.value)


def test_what_is_no_parquet_and_what_is_not_there(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"cannot read images .*a\.parquet: ") as error:
        of(tmp_path / "a.parquet")
    assert "\n" not in str(error.value)
    torch.save(torch.zeros(3, 1, 8, 8), tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"features .*a\.pt: torch.float32 of shape \(3, 1, 8, 8\), expected floats"):
        of(tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"cannot read reference absent: expected a folder of images, an \.npz with"):
        Reference("absent", SHAPE).check()
