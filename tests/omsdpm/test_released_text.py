"""Schedules, latencies and statistics in whichever file people have them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from omsdpm.errors import InputError
from omsdpm.fid import Statistics
from omsdpm.released import load_zoo, read_dataset, read_latency, read_schedules
from omsdpm.released._yaml import read_yaml

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
X = [[0, 3, 1, 0], [2, 0, 0, 1]]


def put(path, content):
    if path.suffix == ".npy":
        np.save(path, content)
    elif isinstance(content, str):
        path.write_bytes(content.encode())
    else:
        path.write_text(json.dumps(content))
    return path


TWO = {
    "a.json": X,
    "b.json": [{"ms": x} for x in X],
    "a.npy": np.array(X, dtype=np.int16),
    "b.npy": np.array(X, dtype=float),
    "a.csv": "0,3,1,0\n2,0,0,1\n",
    "bom.csv": "\ufeff0;3;1;0\r\n2;0;0;1\r\n",
    "named.csv": "budget,schedule\n40,0 3 1 0\n50,2 0 0 1\n",
    "a.txt": "# saved by hand\n0 3 1 0\n2 0 0 1\n",
    "savetxt.txt": "0.000e+00 3.000e+00 1.000e+00 0.000e+00\n2.0e+00 0.0e+00 0.0e+00 1.0e+00\n",
}


@pytest.mark.parametrize("name", TWO)
def test_schedules_are_read_from_any_file(tmp_path, name):
    assert read_schedules(put(tmp_path / name, TWO[name])).tolist() == X


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", [1.5, 2.0, 30]),
        ("b.json", {"ms": [1.5, 2, 30]}),
        ("a.npy", np.array([1.5, 2, 30])),
        ("a.csv", "1.5,2,30\n"),
        ("column.csv", "member,latency_ms\n1,1.5\n2,2\n3,30\n"),
        ("a.txt", "1.5\n2\n30\n"),
    ],
)
def test_latencies_are_read_from_any_file(tmp_path, name, content):
    assert read_latency(put(tmp_path / name, content)) == [1.5, 2.0, 30.0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "[[1, 2], [3", "is no JSON, which it begins like: Expecting"),
        ("a.json", "[" * 100000, "is no JSON|lists within lists"),
        ("a.json", '["one"]', "schedule 0 has no schedule|expected"),
        ("a.csv", "name,color\nx,red\n", "begins with 'name, color', no numbers: expected"),
        ("a.csv", "1,2\n3,x\n", "'x' is no number: expected"),
        ("a.txt", "<html>404</html>", "begins with '<html>404</html>', no numbers"),
        ("a.txt", " \n", "has no numbers"),
        ("a.parquet", "PAR1....", "is a Parquet file: expected"),
        ("a.png", "\x89PNG", "expected|truncated"),
        ("a.txt", "1 2 1.5\n", "has 1.5 in slot 2"),
        ("a.csv", "9" * 5000 + ",1", "expected"),
    ],
)
def test_what_has_no_schedules_says_what_it_is(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message):
        read_schedules(put(tmp_path / name, content))


def test_an_npy_that_claims_more_than_it_has(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(1000, dtype=np.int64))
    raw = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "b.npy").write_bytes(raw.replace(b"(1000,)", b"(9000,)"))
    with pytest.raises(InputError, match=r"shape \(9000,\) and 8000 bytes, expected 72000"):
        read_schedules(tmp_path / "b.npy")
    np.save(tmp_path / "c.npy", np.array([None]), allow_pickle=True)
    with pytest.raises(InputError, match="holds object, expected numbers"):
        read_schedules(tmp_path / "c.npy")


@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize("keys", [("m", "s"), ("mu", "sigma")])
def test_the_releases_statistics_are_read(tmp_path, keys, as_tensor):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 4))
    mu, sigma = features.mean(axis=0), np.cov(features, rowvar=False)
    given = [torch.from_numpy(one) if as_tensor else one for one in (mu, sigma)]
    torch.save(dict(zip(keys, given, strict=True)), tmp_path / "statistic.pth")
    read = Statistics.read(tmp_path / "statistic.pth")
    assert np.array_equal(read.mu, mu) and np.array_equal(read.sigma, sigma)
    torch.save({keys[0]: given[0]}, tmp_path / "half.pth")
    with pytest.raises(InputError, match="lack sigma or s: expected a dictionary with mu and sigma"):
        Statistics.read(tmp_path / "half.pth")


def test_a_released_zoo_whose_model_type_is_the_networks_class(tmp_path):
    shutil.copytree(GOLDEN / "released_zoo", tmp_path / "zoo")
    for number in (1, 2):
        config = tmp_path / "zoo" / str(number) / "config.yml"
        table = read_yaml(config)
        config.write_text(json.dumps({**table, "model": {**table["model"], "model_type": "Diffusion"}}))
    one, other = (load_zoo(folder) for folder in (tmp_path / "zoo", GOLDEN / "released_zoo"))
    x = torch.randn(1, *one.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(one.denoisers[0](x, 500), other.denoisers[0](x, 500))


def test_a_dataset_in_subfolders_is_read_in_their_order(tmp_path):
    expected = read_dataset(GOLDEN / "dataset_ddim_dir", num_models=6)
    for i, file in enumerate(sorted((GOLDEN / "dataset_ddim_dir").glob("*.pth"), key=lambda file: int(file.stem))):
        folder = tmp_path / ("first" if i < 3 else "second")
        folder.mkdir(exist_ok=True)
        shutil.copy(file, folder)
    read = read_dataset(tmp_path, num_models=6)
    assert np.array_equal(read.X, expected.X) and np.array_equal(read.y, expected.y)
