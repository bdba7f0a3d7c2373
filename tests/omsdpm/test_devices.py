"""Names of devices."""

import pytest
import torch

from omsdpm import InputError
from omsdpm.devices import device_name, resolve_device, synchronize


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
