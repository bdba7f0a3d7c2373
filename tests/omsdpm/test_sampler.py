"""Many images in batches: the same as all at once, and scored without being kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from omsdpm import DDIMSpace, DPMSolverSpace, InputError, ModelZoo, MultistepSpace
from omsdpm.sampling import Count, sample
from omsdpm.scoring.measurement import Measurement
from omsdpm.scoring.metrics import Context, OpenMetric
from omsdpm.scoring.sampler import Sampler, read_noise
from omsdpm.solvers import SolverOptions
from omsdpm.zoo.opening import open_zoo, read_latency_table

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
SPACES = [DDIMSpace(3, 8), DPMSolverSpace(3, 3), MultistepSpace(3, 8)]


@pytest.fixture(scope="module")
def zoo(tiny_zoo):
    return ModelZoo.load(tiny_zoo)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.solver)
def test_batches_are_parts_of_one_sampling(zoo, space):
    X = space.random(3, np.random.default_rng(0), null=0.4)
    x_T = zoo.starting_noise(10, seed=5)
    got = {row: torch.full((10, 1, 8, 8), torch.nan) for row in range(3)}
    for row, first, x_0 in Sampler(zoo, space, batch_size=4).batches(X, 10, seed=5):
        got[row][first : first + len(x_0)] = x_0
    for row in range(3):
        whole = sample(zoo.denoisers, X[row], x_T, space=space, noise=space.solver_noise(zoo.noise))
        torch.testing.assert_close(got[row], whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.solver)
def test_scores_are_those_of_the_measurement_of_datasets(zoo, tiny_zoo, space):
    """Two ways to one number, which also says that both take the same noise schedule."""
    X = space.random(3, np.random.default_rng(1), null=0.4)
    told, count = [], Count()
    scores = Sampler(zoo, space, batch_size=30).score(
        X, 100, seed=2, metric=OpenMetric("fd-digits", Context(zoo.shape, reference="digits")),
        progress=lambda *done: told.append(done), count=count,
    )  # fmt: skip
    meter = Measurement(str(tiny_zoo), space.solver, space.length, images=100, seed=2).open()
    np.testing.assert_allclose(scores, meter.measure(X), rtol=1e-4)
    assert told[-1] == (300, 300) and len(told) == 12
    assert 0 < count.evaluations <= count.one_by_one == 4 * space.nfe(X).sum()


def test_noise_that_eta_adds_differs_from_batch_to_batch(zoo):
    fixed = torch.zeros(4, 1, 8, 8)
    sampler = Sampler(zoo, DDIMSpace(3, 8), SolverOptions(eta=1.0), batch_size=2, start=fixed)
    images = [x_0 for _, _, x_0 in sampler.batches([[1, 0, 2, 0, 3, 0, 0, 1]], 4, seed=0)]
    assert not torch.allclose(images[0], images[1])


@pytest.mark.parametrize("name", ["noise.pth", "noise.npy"])
def test_fixed_noise_from_a_file(zoo, name, tmp_path):
    noise = torch.randn(5, 1, 8, 8, dtype=torch.float64)
    if name.endswith("npy"):
        np.save(tmp_path / name, noise.numpy())
    else:
        torch.save(noise, tmp_path / name)
    space, x = DDIMSpace(3, 8), [1, 0, 2, 0, 3, 0, 0, 1]
    sampler = Sampler(zoo, space, batch_size=2, start=read_noise(tmp_path / name))
    images = torch.cat([x_0 for _, _, x_0 in sampler.batches([x], 5, seed=0)])
    expected = sample(zoo.denoisers, x, noise.float(), space=space, noise=zoo.noise)
    torch.testing.assert_close(images, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(InputError, match="starting noise for 5 images: 6 are asked for"):
        next(sampler.batches([x], 6, seed=0))


def test_noise_that_cannot_be_used(zoo, tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save(torch.full((2, 1, 8, 8), torch.nan), tmp_path / "nan.pth")
    np.save(tmp_path / "whole.npy", np.zeros((2, 1, 8, 8), dtype=int))
    (tmp_path / "text.npy").write_text("no")
    for name, match in [
        ("list.pth", "expected a tensor"),
        ("nan.pth", "NaN"),
        ("whole.npy", "expected a tensor"),
        ("text.npy", r"no \.npy"),
        ("absent.npy", r"no \.npy"),
        ("absent.pth", "cannot read"),
    ]:
        with pytest.raises(InputError, match=match):
            read_noise(tmp_path / name)
    with pytest.raises(InputError, match=r"starting noise of shape .* expected \(N, 1, 8, 8\)"):
        Sampler(zoo, DDIMSpace(3, 8), start=torch.zeros(2, 3, 8, 8))


def test_samplers_of_the_wrong_size(zoo):
    with pytest.raises(InputError, match="zoo of 3 members"):
        Sampler(zoo, DDIMSpace(2, 8))
    with pytest.raises(InputError, match="batch size 0"):
        Sampler(zoo, DDIMSpace(3, 8), batch_size=0)
    with pytest.raises(InputError, match="at least 2"):
        Sampler(zoo, DDIMSpace(3, 8)).score([[1] * 8], 1, seed=0, metric=None)


# -- opening ---------------------------------------------------------------------------


def test_both_layouts_are_recognized(tiny_zoo, tmp_path):
    assert open_zoo(tiny_zoo).shape == (1, 8, 8)
    released = open_zoo(GOLDEN / "released_zoo")
    assert released.shape == (3, 16, 16) and released.latency == [81.5, 140.25]
    torch.save([1.0, 2.0, 3.0], tmp_path / "latency.pth")
    assert open_zoo(tiny_zoo, latency=tmp_path / "latency.pth").latency == [1.0, 2.0, 3.0]
    with pytest.raises(InputError, match="3 latencies for 2 members"):
        open_zoo(GOLDEN / "released_zoo", latency=tmp_path / "latency.pth")
    with pytest.raises(InputError, match="is no zoo: expected"):
        open_zoo(tmp_path)


def test_latency_tables(tiny_zoo, tmp_path):
    assert read_latency_table(GOLDEN / "zoo_latency.pth")[:2] == [61.0, 82.5]
    assert read_latency_table(tiny_zoo) == read_latency_table(tiny_zoo / "latency.toml") == [1.0, 2.0, 4.0]
    with pytest.raises(InputError, match="3 latencies for 6 members"):
        read_latency_table(tiny_zoo, 6)
    with pytest.raises(InputError, match=r"has no latency\.toml"):
        read_latency_table(tmp_path)
    shutil.copy(tiny_zoo / "zoo.toml", tmp_path / "latency.toml")
    with pytest.raises(InputError, match="ms"):
        read_latency_table(tmp_path)
