"""What a GPU gives: ``python -m tests.cuda`` runs exactly the tests that need CUDA, and prints a table of speeds.

The table is of the embedded zoo: images per second of each member by our sampler, by a bare loop over the same
network at the same timesteps, and by diffusers' ``DDIMPipeline``; and the share of our time that is spent outside
the network. Without a GPU one line says so. ``--device cpu`` makes the table there, and runs no tests.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from omsdpm.devices import DTYPES, Running, device_name, resolve_device, synchronize
from omsdpm.errors import InputError
from omsdpm.scoring.sampler import Sampler
from omsdpm.solvers import compile_plan, space_on
from omsdpm.zoo import ModelZoo
from omsdpm.zoo.member import Member

ZOO = Path(__file__).parents[1] / "benchmarks" / "data" / "digits-zoo"

OUTSIDE = 0.05
"""Share of the time outside networks that is wanted at most."""


@dataclass(frozen=True)
class Speed:
    """Images per second of one member.

    Attributes:
        member: its name.
        ours: by :class:`omsdpm.scoring.sampler.Sampler`.
        bare: by the network alone, evaluated as often.
        pipeline: by diffusers; ``None`` in bfloat16, which its pipeline cannot turn into images.
    """

    member: str
    ours: float
    bare: float
    pipeline: float | None

    @property
    def outside(self) -> float:
        """Share of our time that is not the network's; below zero where noise of the clock is larger."""
        return 1 - self.ours / self.bare


def speed(zoo: ModelZoo, number: int, *, images: int, steps: int, repeats: int) -> Speed:
    """Samples ``images`` at once in each of three ways, which take turns; medians count.

    Args:
        zoo: on its device.
        number: of the member, from 1.
        images: sampled at once.
        steps: of DDIM.
        repeats: turns that count, after one that does not.
    """
    one = zoo.subset([number])
    (member,) = one.members
    space = space_on(zoo.noise, "ddim", 1, steps, None)
    x = np.ones((1, steps), dtype=np.int64)
    sampler = Sampler(one, space, batch_size=images)
    noise = one.starting_noise(images, seed=0)
    timesteps = [stage.timestep for stage in compile_plan(x[0], space, sampler.noise).stages]
    ways: list[Callable[[], Any]] = [
        lambda: list(sampler.batches(x, images, seed=0)),
        lambda: bare(member, noise, timesteps),
    ]
    if str(member.network.dtype) != "torch.bfloat16":
        pipe = pipeline(one, member)
        ways.append(lambda: pipe(batch_size=images, num_inference_steps=steps, output_type="np"))
    times: list[list[float]] = [[] for _ in ways]
    for turn in range(repeats + 1):
        for way, taken in zip(ways, times, strict=True):
            synchronize(zoo.device)
            start = time.perf_counter()
            way()
            synchronize(zoo.device)
            if turn:
                taken.append(time.perf_counter() - start)
    ours, alone, *theirs = (images / statistics.median(taken) for taken in times)
    return Speed(member.name, ours, alone, theirs[0] if theirs else None)


def bare(member: Member, x: Any, timesteps: Sequence[float]) -> None:
    """Evaluates the network as often as sampling does, and does nothing else."""
    import torch

    dtype = member.network.dtype or x.dtype
    given = x.to(dtype)
    with torch.no_grad():
        for timestep in timesteps:
            member.network(given, torch.full((len(x),), timestep, dtype=x.dtype, device=x.device))


def pipeline(zoo: ModelZoo, member: Member) -> Any:
    """diffusers' pipeline of a member's network, without a bar."""
    from diffusers import DDIMPipeline, DDIMScheduler

    table = zoo.noise.table()
    given = {key: table[key] for key in ("beta_start", "beta_end")}
    pipe = DDIMPipeline(member.network.module, DDIMScheduler(clip_sample=False, **given)).to(zoo.device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def table(speeds: Sequence[Speed], title: str) -> str:
    """The speeds as Markdown."""
    lines = [title, "", "| member | ours | bare network | diffusers | outside the network |", "|---|---|---|---|---|"]
    lines += [
        f"| {one.member} | {one.ours:,.0f} | {one.bare:,.0f} | "
        f"{'-' if one.pipeline is None else format(one.pipeline, ',.0f')} | {one.outside:.1%} |"
        for one in speeds
    ]
    slow = [one.member for one in speeds if one.outside > OUTSIDE]
    lines += ["", f"More than {OUTSIDE:.0%} outside the network: member {', '.join(slow)}."] if slow else []
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 where nothing failed or no GPU is there."""
    parser = argparse.ArgumentParser(prog="python -m tests.cuda", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu for the table alone")
    parser.add_argument("--images", type=int, default=500, help="sampled at once")
    parser.add_argument("--steps", type=int, default=20, help="of DDIM")
    parser.add_argument("--repeats", type=int, default=5, help="turns that count")
    parser.add_argument("--members", type=int, nargs="+", help="numbers of members; all without it")
    parser.add_argument("--dtype", choices=DTYPES, help="precision of the members")
    parser.add_argument("--channels-last", action="store_true", help="layout of the members")
    asked = parser.parse_args(arguments)
    try:
        device = resolve_device(asked.device)
    except InputError as error:
        print(f"nothing is run: {error}")
        return 0
    failed = 0
    if device.startswith("cuda"):
        import pytest

        failed = int(pytest.main(["-m", "cuda", str(Path(__file__).parent)]))
    zoo = ModelZoo.load(ZOO, device, running=Running(asked.dtype, asked.channels_last))
    numbers = asked.members or range(1, len(zoo.members) + 1)
    speeds = [speed(zoo, number, images=asked.images, steps=asked.steps, repeats=asked.repeats) for number in numbers]
    precision = asked.dtype or "float32"
    print(
        table(
            speeds,
            f"Images per second, {asked.images} at once in {asked.steps} steps of DDIM, {precision}, "
            f"{device_name(device)}; medians of {asked.repeats}:",
        )
    )
    return failed


if __name__ == "__main__":
    sys.exit(main())
