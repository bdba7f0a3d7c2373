"""What a run was made with."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = (
    "omsdpm",
    "numpy",
    "scipy",
    "torch",
    "diffusers",
    "scikit-learn",
    "xgboost",
    "pymoo",
    "optuna",
    "pandas",
    "pyarrow",
    "matplotlib",
)
"""Packages whose version may change a result."""


def environment(device: str) -> dict[str, Any]:
    """Versions, platform and device, as JSON takes them."""
    import torch

    from omsdpm.devices import device_name

    return {
        "versions": {"python": platform.python_version(), **{name: package_version(name) for name in PACKAGES}},
        "platform": platform.platform(),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
    }


def package_version(name: str) -> str:
    """The installed version, or ``"not installed"``."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
