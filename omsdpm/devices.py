"""The one place that knows devices."""

from __future__ import annotations

from omsdpm.errors import InputError

DEVICES = ("auto", "cpu", "cuda")


def resolve_device(name: str = "auto") -> str:
    """``"auto"`` to CUDA where there is one, else the CPU; other names are checked.

    Raises:
        InputError: an unknown device, or ``"cuda"`` without CUDA.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.split(":")[0] not in DEVICES[1:]:
        raise InputError(f"device {name!r}: choose one of {', '.join(DEVICES)}")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"device {name!r}: PyTorch {torch.__version__} sees no CUDA here; use cpu or auto")
    number = name.partition(":")[2]
    count = torch.cuda.device_count() if name.startswith("cuda") else 1
    if ":" in name and not (number.isdecimal() and int(number) < count):
        raise InputError(f"device {name!r}: numbers go from 0 to {count - 1} here")
    return name


def synchronize(device: str) -> None:
    """Waits until the device has done what it was given, so that a clock tells the truth."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(device)


def device_name(device: str) -> str:
    """The device in words, for cards and tables."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
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
