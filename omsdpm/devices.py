"""The one place that knows devices."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from omsdpm.errors import InputError


class _Devices(tuple[str, ...]):
    """Names of devices for a help text; one of several GPUs, as ``cuda:1``, is among them too."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", name) is not None


DEVICES = _Devices(("auto", "cpu", "cuda", "cuda:N", "mps"))


def resolve_device(name: str = "auto") -> str:
    """``"auto"`` to CUDA where there is one, else the CPU; other names are checked.

    Raises:
        InputError: an unknown device, or ``"cuda"`` without CUDA.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.partition(":")[0] not in ("cpu", "cuda", "mps"):
        raise InputError(f"device {name!r}: choose one of {', '.join(DEVICES)}")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"device {name!r}: PyTorch {torch.__version__} sees no CUDA here; use cpu or auto")
    if name.startswith("mps") and not torch.backends.mps.is_available():
        raise InputError(f"device {name!r}: PyTorch {torch.__version__} sees no MPS here; use cpu or auto")
    number = name.partition(":")[2]
    count = torch.cuda.device_count() if name.startswith("cuda") else 1
    if ":" in name and not (number.isdecimal() and int(number) < count):
        raise InputError(f"device {name!r}: numbers go from 0 to {count - 1} here")
    return name


def usable_cpus() -> int:
    """Processors that this process may use: fewer than there are under ``taskset`` or in a container."""
    from joblib import cpu_count

    return max(1, int(cpu_count()))


def synchronize(device: str) -> None:
    """Waits until the device has done what it was given, so that a clock tells the truth."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(device)
    elif device.startswith("mps"):
        import torch

        torch.mps.synchronize()


@contextmanager
def peak_memory(device: str) -> Iterator[Callable[[], float | None]]:
    """Watches the memory of a device while work is done on it.

    Yields:
        what says, once the work is done, most MiB that PyTorch held on the device meanwhile; ``None`` where the
        device does not tell, which only CUDA does.
    """
    if not device.startswith("cuda"):
        yield lambda: None
        return
    import torch

    torch.cuda.reset_peak_memory_stats(device)
    yield lambda: torch.cuda.max_memory_allocated(device) / 2**20


def device_name(device: str) -> str:
    """The device in words, for cards and tables."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    if device.startswith("mps"):
        return f"mps ({_cpu_model()})"
    return f"cpu ({_cpu_model()})"


def _cpu_model() -> str:
    import platform
    from pathlib import Path

    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
