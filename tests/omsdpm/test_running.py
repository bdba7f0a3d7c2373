"""How networks run: precision, layout, and batches that do not fit into a device's memory."""

from __future__ import annotations

import json
import shutil
import warnings

import numpy as np
import pytest
import torch

from omsdpm import DDIMSpace, InputError, ModelZoo
from omsdpm.devices import DTYPES, Parts, Running
from omsdpm.errors import InputWarning
from omsdpm.networks.base import Network
from omsdpm.noise import make_noise
from omsdpm.scoring.identity import check_measured, identity
from omsdpm.scoring.measurement import Measurement, measurement_from_table
from omsdpm.scoring.sampler import Sampler
from omsdpm.solvers import SolverOptions
from omsdpm.zoo.member import Member
from omsdpm.zoo.opening import open_zoo


def measurement(zoo, **more):
    return Measurement(zoo=str(zoo), solver="ddim", length=4, images=8, **more)


def images(zoo, **running):
    meter = measurement(zoo).with_running(Running(**running)).open()
    return dict(meter.sample([[1, 0, 2, 3]]))[0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_members_compute_in_the_precision_that_is_asked_for(tiny_zoo, dtype):
    exact, other = images(tiny_zoo), images(tiny_zoo, dtype=dtype)
    members = ModelZoo.load(tiny_zoo, running=Running(dtype)).members
    assert {weights.dtype for member in members for weights in member.network.parameters()} == {getattr(torch, dtype)}
    assert other.dtype == torch.float32  # the solver's states keep theirs
    difference = (exact - other).abs().max()
    assert difference == 0 if dtype == "float32" else 0 < difference < 0.2


def test_nobody_elses_weights_change(tiny_zoo):
    before = ModelZoo.load(tiny_zoo)
    ModelZoo.load(tiny_zoo, running=Running("float16", channels_last=True))
    members = (*before.members, *ModelZoo.load(tiny_zoo).members)
    kept = [weights for member in members for weights in member.network.parameters()]
    assert {weights.dtype for weights in kept} == {torch.float32}
    assert all(weights.is_contiguous() for weights in kept)


def test_channels_last_is_a_layout_and_no_other_result(tiny_zoo):
    members = ModelZoo.load(tiny_zoo, running=Running(channels_last=True)).members
    convolutions = [w for member in members for w in member.network.parameters() if w.ndim == 4 and w.shape[2] > 1]
    assert convolutions and all(w.is_contiguous(memory_format=torch.channels_last) for w in convolutions)
    torch.testing.assert_close(images(tiny_zoo), images(tiny_zoo, channels_last=True), rtol=1e-4, atol=1e-5)


def test_members_are_compiled(tiny_zoo):
    members = ModelZoo.load(tiny_zoo, running=Running(compiled=True)).members
    assert all(member.network.module._compiled_call_impl is not None for member in members)
    assert ModelZoo.load(tiny_zoo).members[0].network.module._compiled_call_impl is None


def test_a_compiled_member_says_the_same(tiny_zoo, tmp_path):
    zoo = shutil.copytree(tiny_zoo, tmp_path / "zoo")
    table = (zoo / "zoo.toml").read_text()
    (zoo / "zoo.toml").write_text(
        table.replace('folder = "1"', 'folder = "1", variants = ["compile[backend=eager]"]', 1)
    )
    x = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        compiled, plain = (ModelZoo.load(folder).members[0](x, 300) for folder in (zoo, tiny_zoo))
    torch.testing.assert_close(compiled, plain)


def test_a_precision_is_part_of_what_is_measured(tiny_zoo, tmp_path):
    usual, half = measurement(tiny_zoo), measurement(tiny_zoo, dtype="bfloat16")
    assert usual != half and usual == usual.with_running(Running(channels_last=True, compiled=True))
    assert "dtype" not in identity(usual) and identity(half)["dtype"] == '"bfloat16"'
    (tmp_path / "measured.json").write_text(json.dumps({"format": 1, "schedules": identity(usual)}))
    with pytest.raises(InputError, match="another precision of the members"):
        check_measured(tmp_path, "schedules", identity(half))
    table = {"zoo": str(tiny_zoo), "solver": "ddim", "length": 4, "dtype": "float16"}
    assert measurement_from_table(table, tmp_path).running == Running("float16")
    with pytest.raises(InputError, match="dtype"):
        measurement_from_table({**table, "dtype": "float8"}, tmp_path)
    with pytest.raises(InputError, match="dtype 'half'"):
        Running("half")


def test_functions_have_the_precision_that_they_have(tmp_path, monkeypatch):
    (tmp_path / "ours_of_running.py").write_text("def eps(x, t):\n    return x\n")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "zoo.toml").write_text(
        '[zoo]\nname = "f"\nimage_size = 8\nchannels = 1\n[noise]\nkind = "linear"\n'
        '[[member]]\nkind = "callable"\nfunction = "ours_of_running:eps"\n'
    )
    assert len(open_zoo(tmp_path).members) == 1
    with pytest.raises(InputError, match=r"of kind 'callable', which cannot be had as dtype\[to=float16\]"):
        open_zoo(tmp_path, running=Running("float16"))


class Small(Network):
    """A network on a device with memory for so many images."""

    num_classes = 5

    def __init__(self, fits: int) -> None:
        self.fits, self.sizes = fits, []

    def __call__(self, x, timesteps, labels=None):
        if len(x) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nGPU 0 has ...")
        self.sizes.append(len(x))
        return torch.tanh(x) * (1 + labels.view(-1, 1, 1, 1)) * (timesteps.view(-1, 1, 1, 1) / 1000)


def sampled(fits, batch_size, eta=0.0):
    network = Small(fits)
    noise = make_noise({"kind": "linear"})
    zoo = ModelZoo([Member("small", network, noise)], noise, (1, 4, 4))
    sampler = Sampler(zoo, DDIMSpace(1, 4), SolverOptions(eta=eta), batch_size, labels="random")
    return torch.cat([x for _, _, x in sampler.batches(np.array([[1, 1, 0, 1]]), 22, seed=3)]), network.sizes


def test_out_of_memory_halves_the_batch_says_so_and_changes_no_image():
    whole, _ = sampled(fits=100, batch_size=22)
    with pytest.warns(InputWarning, match="member small: out of memory with") as told:
        halved, sizes = sampled(fits=6, batch_size=22)
    assert [str(one.message).split("memory with ")[1] for one in told] == [
        "22 images at once; goes on with 11",
        "11 images at once; goes on with 5",
    ]
    assert sizes[:5] == [5, 5, 5, 5, 2] and max(sizes) == 5
    torch.testing.assert_close(halved, whole, rtol=0, atol=0)
    smaller, _ = sampled(fits=100, batch_size=5)
    torch.testing.assert_close(halved, smaller, rtol=0, atol=0)


def test_fresh_noise_is_that_of_the_batch_that_was_asked_for():
    whole, _ = sampled(fits=100, batch_size=22, eta=1.0)
    with pytest.warns(InputWarning):
        halved, _ = sampled(fits=6, batch_size=22, eta=1.0)
    torch.testing.assert_close(halved, whole, rtol=0, atol=0)


def test_a_device_without_memory_for_one_image_is_one_line():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InputError, match="member small: the device has no memory for one image") as error:
            sampled(fits=0, batch_size=4)
    assert "\n" not in str(error.value)


def test_other_errors_are_not_taken_for_it():
    def broken(rows):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        Parts("it")(broken, 4)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("running", [Running("float16"), Running("bfloat16", channels_last=True)])
def test_half_precision_on_a_gpu_is_near_single_precision(tiny_zoo, running):
    exact = dict(measurement(tiny_zoo).open("cuda").sample([[1, 0, 2, 3]]))[0]
    other = dict(measurement(tiny_zoo).with_running(running).open("cuda").sample([[1, 0, 2, 3]]))[0]
    assert (exact - other).abs().max() < 0.2
