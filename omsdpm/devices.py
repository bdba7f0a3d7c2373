"""The one place that knows devices."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from omsdpm.errors import InputError, InputWarning, one_line, unknown_name

if TYPE_CHECKING:
    import torch


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


def to_device(tensor: torch.Tensor, device: str) -> torch.Tensor:
    """A tensor of the CPU on a device; to CUDA by pinned memory, without waiting for what the device does."""
    if not device.startswith("cuda"):
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def to_host(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of a device on the CPU; from CUDA into pinned memory, waiting for its own stream alone."""
    if tensor.device.type != "cuda":
        return tensor.cpu()
    import torch

    there = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    there.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensor.device).synchronize()
    return there


DTYPES = ("float32", "float16", "bfloat16")
"""Precisions that networks may be told to compute in."""


@dataclass(frozen=True)
class Running:
    """How networks run on their device; the solver's states keep their precision.

    Attributes:
        dtype: precision of the weights, one of :data:`DTYPES`; ``None`` leaves them as they are.
        channels_last: weights of convolutions stand in memory with their channels last, which tensor cores like.
        compiled: networks are compiled by ``torch.compile`` when they are first evaluated.
        offload: the weights of one network at a time are on the device, and all wait on the CPU (`omsdpm.offload`);
            where that is the device nothing changes.

    Raises:
        InputError: a precision that is none of those, or compiled networks that are to be offloaded.
    """

    dtype: str | None = None
    channels_last: bool = False
    compiled: bool = False
    offload: bool = False

    def __post_init__(self) -> None:
        if self.compiled and self.offload:
            raise InputError("compiled networks cannot wait on the CPU: leave out --compile or --offload")
        if self.dtype is not None and self.dtype not in DTYPES:
            raise unknown_name("dtype", str(self.dtype), DTYPES)

    @property
    def variants(self) -> tuple[str, ...]:
        """The same as variants of models (:mod:`omsdpm.variants`), in the order in which they are made."""
        dtype = () if self.dtype is None else (f"dtype[to={self.dtype}]",)
        return (*dtype, *["channels-last"] * self.channels_last, *["compile"] * self.compiled)


USUAL_RUNNING = Running()


class Parts:
    """Evaluates a batch in as large parts as the device has memory for, which it learns by running out of it.

    Args:
        name: of what is evaluated, for warnings and errors.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.most: int | None = None
        """Largest part since memory ran out; ``None`` before."""

    def __call__(self, evaluate: Callable[[slice], torch.Tensor], size: int) -> torch.Tensor:
        """``(size, ...)`` of what ``evaluate`` gives of consecutive rows.

        Raises:
            InputError: there is no memory for a single row.

        Warns:
            InputWarning: memory ran out, and the parts are half as large from now on.
        """
        import torch

        while True:
            part = size if self.most is None else min(size, self.most)
            try:
                done = [evaluate(slice(first, min(first + part, size))) for first in range(0, size, part)]
                return done[0] if len(done) == 1 else torch.cat(done)
            except torch.OutOfMemoryError as error:
                if part == 1:
                    raise InputError(
                        f"{self.name}: the device has no memory for one image ({one_line(error)[:100]}): take another "
                        "device, or --dtype bfloat16"
                    ) from None
            # Only here, where the failed evaluation's tensors are gone with its traceback.
            self.most = part // 2
            release_memory()
            warnings.warn(
                f"{self.name}: out of memory with {part} images at once; goes on with {self.most}",
                InputWarning,
                stacklevel=2,
            )


def release_memory() -> None:
    """Gives back memory of the device that is held for later but not used."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


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
