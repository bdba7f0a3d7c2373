"""Names of devices."""

import os
import subprocess
import sys

import pytest
import torch

from omsdpm import InputError
from omsdpm.devices import device_name, resolve_device, synchronize
from studies.jobs.dataset_build.settings import BuildSettings
from studies.jobs.sample.settings import SampleSettings


@pytest.fixture(params=[0, 2])
def gpus(request, monkeypatch):
    """A machine with so many CUDA devices, as PyTorch would tell."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    return request.param


def test_auto_takes_cuda_where_there_is_one(gpus):
    assert resolve_device() == resolve_device("auto") == ("cuda" if gpus else "cpu")
    assert resolve_device("cpu") == "cpu"


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_cuda_is_refused_without_cuda(gpus, name):
    if gpus:
        assert resolve_device(name) == name
    else:
        with pytest.raises(InputError, match=f"device '{name}': PyTorch .* sees no CUDA here; use cpu or auto"):
            resolve_device(name)


@pytest.mark.parametrize("name", ["tpu", "", "CPU", "cudas", "cpu:1", "cpu:x", "cuda:2", "cuda:", "cuda:-1"])
def test_devices_that_are_not_there_are_refused(gpus, name):
    with pytest.raises(InputError, match=f"device '{name}'") as error:
        resolve_device(name)
    assert "\n" not in str(error.value)


def test_the_cpu_has_a_name_and_nothing_to_wait_for():
    assert device_name("cpu").startswith("cpu (") and len(device_name("cpu")) > len("cpu ()")
    synchronize("cpu")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_has_a_name():
    synchronize("cuda")
    assert device_name(resolve_device("cuda")) == torch.cuda.get_device_name()


def test_mps_is_taken_where_it_is(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"device 'mps': PyTorch .* sees no MPS here; use cpu or auto"):
        resolve_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("mps") == "mps"


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps"])
def test_every_command_takes_a_device_by_its_number(name):
    assert SampleSettings(zoo="z", schedule="s", images="i", device=name).device == name
    assert BuildSettings(folder="f", device=name).device == name


@pytest.mark.parametrize("name", ["tpu", "cuda:", "cuda:x", "auto:1", "CPU"])
def test_other_names_are_refused_by_every_command(name):
    with pytest.raises(InputError, match=f"unknown device '{name}'"):
        BuildSettings(folder="f", device=name)
    with pytest.raises(InputError, match=f"device '{name}'"):
        resolve_device(name)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_processors_are_those_that_one_may_use():
    one = f"import os; os.sched_setaffinity(0, [{min(os.sched_getaffinity(0))}]); "
    code = one + "from omsdpm.devices import usable_cpus; print(usable_cpus())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"1"
