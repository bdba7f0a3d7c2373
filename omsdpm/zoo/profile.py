"""Latency of a zoo's members, measured on this machine."""

from __future__ import annotations

import datetime
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omsdpm.devices import device_name, synchronize
from omsdpm.errors import InputError
from omsdpm.files import check_writable
from omsdpm.zoo.files import LATENCY_FILE, write_latency_card
from omsdpm.zoo.member import Member
from omsdpm.zoo.zoo import ModelZoo

if TYPE_CHECKING:
    import torch

TRAJECTORY = 20
"""Steps over which a member with a cache is timed."""

PROMPT = "a photograph"
"""What is sampled while members that take prompts are timed."""


def measure_latency(
    zoo: ModelZoo,
    *,
    batch_size: int = 500,
    repeats: int = 20,
    warmup: int = 3,
    progress: Callable[[int, int], None] | None = None,
) -> list[float]:
    """Median milliseconds of one evaluation of ``batch_size`` images, a member.

    The members take turns, so that a drift of the machine's speed meets all alike. What a member with a cache takes
    depends on its earlier evaluations: it is timed over a trajectory of its own of :data:`TRAJECTORY` steps, and the
    mean is what a schedule that calls it in long runs pays.

    Raises:
        InputError: a count that is not positive.
    """
    import torch

    if min(batch_size, repeats) < 1 or warmup < 0:
        raise InputError(f"batch_size={batch_size}, repeats={repeats}, warmup={warmup}: expected positive numbers")
    device = zoo.device
    x = zoo.starting_noise(batch_size, seed=0)
    prompts = zoo.encode([PROMPT]).repeated(batch_size) if zoo.takes_prompts else None
    every: dict[str, Any] = {"labels": torch.zeros(batch_size, dtype=torch.long, device=x.device), "prompts": prompts}
    conditions = [{name: every[name] for name in member.conditions} for member in zoo.members]
    middle = float(zoo.noise.timestep(0.5))
    times: list[list[float]] = [[] for _ in zoo.members]
    with torch.inference_mode():
        for turn in range(warmup + repeats):
            for member, given, measured in zip(zoo.members, conditions, times, strict=True):
                synchronize(device)
                start = time.perf_counter()
                if member.stateful:
                    _trajectory(zoo, member, x, given)
                else:
                    member(x, middle, **given)
                synchronize(device)
                if turn >= warmup:
                    evaluations = TRAJECTORY if member.stateful else 1
                    measured.append(1000 * (time.perf_counter() - start) / evaluations)
            if progress is not None:
                progress(turn + 1, warmup + repeats)
    return [statistics.median(measured) for measured in times]


def _trajectory(zoo: ModelZoo, member: Member, x: torch.Tensor, conditions: dict[str, Any]) -> None:
    """Samples with one member alone."""
    from omsdpm.guidance import conditioned
    from omsdpm.sampling import sample
    from omsdpm.solvers import space_on

    space = space_on(zoo.noise, "ddim", 1, TRAJECTORY, None)
    (denoiser,) = conditioned([member], **conditions) if conditions else [member]
    sample([denoiser], [1] * TRAJECTORY, x, space=space, noise=zoo.noise)


def profile_zoo(
    folder: str | Path,
    *,
    batch_size: int = 500,
    repeats: int = 20,
    device: str = "cpu",
    guidance: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measures the members of a folder and writes its ``latency.toml``, whatever was there; returns what it says.

    Args:
        folder: the zoo's.
        batch_size, repeats, progress: see :func:`measure_latency`.
        device: where to measure.
        guidance: scale for members that do not say their own; a guided evaluation is two, and costs as much.
    """
    import diffusers
    import torch

    zoo = ModelZoo.load(folder, device, profiled=False).guided(guidance)
    check_writable(Path(folder) / LATENCY_FILE)
    ms = measure_latency(zoo, batch_size=batch_size, repeats=repeats, progress=progress)
    card = {
        "ms": [max(round(value, 3), 0.001) for value in ms],  # a table of latencies has no zeros
        "batch_size": batch_size,
        "repeats": repeats,
        "statistic": "median",
        "device": device_name(zoo.device),
        "threads": torch.get_num_threads(),
        "date": datetime.date.today().isoformat(),
        **({} if guidance is None else {"guidance": guidance}),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
        },
    }
    write_latency_card(folder, card)
    return card
