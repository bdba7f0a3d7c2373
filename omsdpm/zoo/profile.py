"""Latency of a zoo's members and of whole schedules, measured on this machine."""

from __future__ import annotations

import datetime
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.devices import USUAL_RUNNING, Running, device_name, peak_memory, synchronize
from omsdpm.errors import InputError, InputWarning
from omsdpm.files import check_writable
from omsdpm.latency import LatencyTable
from omsdpm.memory import weights_of
from omsdpm.solvers import Schedules, ScheduleSpace
from omsdpm.zoo.files import latency_path, write_latency_card
from omsdpm.zoo.zoo import ModelZoo

if TYPE_CHECKING:
    import torch

    from omsdpm.sampling import Denoiser

TRAJECTORY = 20
"""Steps over which a member with a cache is timed."""

PROMPT = "a photograph"
"""What is sampled while members that take prompts are timed."""

SLOTS = 8
"""Of the whole schedules that are timed."""

SCHEDULES = 6
"""Random schedules that are timed, beside those of a single member."""

SCHEDULE_TURNS = 5
"""How often each whole schedule is timed, at most."""

WARNED_ERROR = 0.1
"""What a table may be off the time of a whole schedule before a warning is due, as a share of that time."""


@dataclass(frozen=True)
class Profile:
    """What was measured at one batch size.

    Attributes:
        ms: median of one evaluation, a member, ``(M,)``.
        peaks: most MiB of the device while it is evaluated, a member; empty where the device does not tell.
        space: of the schedules.
        X: ``(n, L)`` whole schedules that were timed, perhaps none.
        whole: ``(n,)`` median ms of each.
    """

    ms: list[float]
    peaks: list[float]
    space: ScheduleSpace
    X: Schedules
    whole: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def fitted(self) -> LatencyTable:
        """The members' latencies, with the costs of a step and of a switch that explain whole schedules best.

        What schedules take longer than the sum of their members, as a share of their time, is fitted to their numbers
        of steps and of switches (nonnegative least squares), so that members cost what they were measured to cost.
        Where that is no nearer to the schedules than the sum, the sum stays.
        """
        plain = LatencyTable(self.ms)
        if not len(self.X):
            return plain
        from scipy.optimize import nnls

        counts = np.column_stack([self.space.nfe(self.X), self.space.switches(self.X)]).astype(float)
        beyond = self.whole - self.space.latency(self.X, self.ms)
        (step, switch), _ = nnls(counts / self.whole[:, None], beyond / self.whole)
        fitted = LatencyTable(self.ms, round(float(step), 3), round(float(switch), 3))
        return min(plain, fitted, key=self.error)

    def error(self, table: Sequence[float]) -> float:
        """By how much a table is off the time of a whole schedule at most, as a share of that time."""
        return float((np.abs(self.space.latency(self.X, table) - self.whole) / self.whole).max())


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
    return measure(zoo, batch_size=batch_size, repeats=repeats, warmup=warmup, schedules=0, progress=progress).ms


def measure(
    zoo: ModelZoo,
    *,
    batch_size: int = 500,
    repeats: int = 20,
    warmup: int = 3,
    schedules: int = SCHEDULES,
    progress: Callable[[int, int], None] | None = None,
) -> Profile:
    """Times the members, see :func:`measure_latency`, and whole schedules by the executor that samples.

    Schedules take turns with the members, and medians of both are compared, so that other work on the machine meets
    both alike.

    Args:
        zoo: on the device that is measured.
        batch_size: images of an evaluation.
        repeats: turns that count.
        warmup: turns before them.
        schedules: random schedules that are timed, beside one of each member alone; 0 times none.
        progress: told ``(turns, all turns)``.

    Raises:
        InputError: a count that is not positive.
    """
    import torch

    if min(batch_size, repeats) < 1 or min(warmup, schedules) < 0:
        raise InputError(
            f"batch_size={batch_size}, repeats={repeats}, warmup={warmup}, schedules={schedules}: expected positive "
            "numbers"
        )
    timed = _Timed(zoo, batch_size)
    X = _whole_schedules(timed.space, schedules)
    every = max(1, repeats // SCHEDULE_TURNS)  # turns from one with schedules to the next
    members: list[list[float]] = [[] for _ in zoo.members]
    whole: list[list[float]] = [[] for _ in X]
    peaks: list[float] = []
    with torch.inference_mode():
        for turn in range(warmup + repeats):
            for number, measured in enumerate(members):
                with peak_memory(zoo.device) as peak:
                    ms = timed.member(number)
                if turn == 0 and (most := peak()) is not None:
                    peaks.append(round(most, 1))
                if turn >= warmup:
                    measured.append(ms)
            if turn >= warmup and (turn - warmup) % every == 0:
                for x, measured in zip(X, whole, strict=True):
                    measured.append(timed.schedule(x))
            if progress is not None:
                progress(turn + 1, warmup + repeats)
    medians = [statistics.median(measured) for measured in members]
    return Profile(medians, peaks, timed.space, X, np.array([statistics.median(measured) for measured in whole]))


def _whole_schedules(space: ScheduleSpace, random: int) -> Schedules:
    """Each member alone in every other slot, and random schedules, ``(n, L)``; none for 0 random ones."""
    if not random:
        return np.empty((0, space.length), dtype=np.int64)
    alone = np.zeros((space.num_models, space.length), dtype=np.int64)
    alone[:, ::2] = np.arange(1, space.num_models + 1)[:, None]
    return np.concatenate([alone, space.random(random, np.random.default_rng(0))])


class _Timed:
    """What evaluates a zoo on one batch, in milliseconds."""

    def __init__(self, zoo: ModelZoo, batch_size: int) -> None:
        import torch

        from omsdpm.guidance import conditioned
        from omsdpm.solvers import space_on

        self.zoo = zoo
        self.x = zoo.starting_noise(batch_size, seed=0)
        prompts = zoo.encode([PROMPT]).repeated(batch_size) if zoo.takes_prompts else None
        labels = torch.zeros(batch_size, dtype=torch.long, device=self.x.device)
        every: dict[str, Any] = {"labels": labels, "prompts": prompts}
        self.conditions = [{name: every[name] for name in member.conditions} for member in zoo.members]
        self.denoisers: list[Denoiser] = []
        for member, given in zip(zoo.members, self.conditions, strict=True):
            self.denoisers += conditioned([member], **given) if given else [member]
        self.middle = float(zoo.noise.timestep(0.5))
        self.space = space_on(zoo.noise, "ddim", len(zoo.members), SLOTS, None)
        self.alone = space_on(zoo.noise, "ddim", 1, TRAJECTORY, None)

    def member(self, number: int) -> float:
        """One evaluation of a member, counted from 0; the mean of a trajectory where it has a memory."""
        member, given = self.zoo.members[number], self.conditions[number]
        if self.zoo.offload is not None and member.network.weights is not None:
            self.zoo.offload.enter(member.network.weights)  # what that takes is found out by whole schedules
        if member.stateful:
            return self._sampling([self.denoisers[number]], [1] * TRAJECTORY, self.alone) / TRAJECTORY
        return self._clocked(lambda: member(self.x, self.middle, **given))

    def schedule(self, x: NDArray[np.int64]) -> float:
        """A whole schedule."""
        return self._sampling(self.denoisers, x, self.space)

    def _sampling(self, denoisers: Sequence[Denoiser], x: Any, space: ScheduleSpace) -> float:
        from omsdpm.sampling import sample

        return self._clocked(lambda: sample(denoisers, x, self.x, space=space, noise=self.zoo.noise))

    def _clocked(self, work: Callable[[], torch.Tensor]) -> float:
        synchronize(self.zoo.device)
        start = time.perf_counter()
        work()
        synchronize(self.zoo.device)
        return 1000 * (time.perf_counter() - start)


def profile_zoo(
    folder: str | Path,
    *,
    batch_size: int = 500,
    repeats: int = 20,
    device: str = "cpu",
    guidance: float | None = None,
    name: str | None = None,
    other_batches: Sequence[int] = (),
    schedules: int = SCHEDULES,
    running: Running = USUAL_RUNNING,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measures the members of a folder and writes its ``latency.toml``, whatever was there; returns what it says.

    Args:
        folder: the zoo's.
        batch_size, repeats, schedules: see :func:`measure`.
        device: where to measure.
        guidance: scale for members that do not say their own; a guided evaluation is two, and costs as much.
        name: of this device, whose table is then ``latency-NAME.toml`` beside the usual one.
        other_batches: further batch sizes at which the members are timed.
        running: precision and layout of the members. Where they wait on the CPU, ``ms`` is of a member that is on the
            device already, and what it takes to get it there is part of what a change of members costs.
        progress: told ``(turns, all turns)``, those of all batch sizes together.

    Raises:
        InputError: a zoo that cannot be loaded, a count that is not positive, or a name that is none for a file.

    Warns:
        InputWarning: the table is more than a tenth off the time of a whole schedule.
    """
    import diffusers
    import torch

    path = latency_path(folder, name)
    zoo = ModelZoo.load(folder, device, profiled=False, running=running).guided(guidance)
    check_writable(path)
    sizes = [batch_size, *dict.fromkeys(size for size in other_batches if size != batch_size)]
    profiles = []
    for number, size in enumerate(sizes):

        def step(done: int, total: int, before: int = number) -> None:
            if progress is not None:
                progress(before * total + done, len(sizes) * total)

        wanted = 0 if number else schedules
        profiles.append(measure(zoo, batch_size=size, repeats=repeats, schedules=wanted, progress=step))
    first = profiles[0]
    ms = _milliseconds(first)
    card = {
        "ms": ms,
        "batch_size": batch_size,
        "repeats": repeats,
        "statistic": "median",
        "device": device_name(zoo.device),
        "threads": torch.get_num_threads(),
        "date": datetime.date.today().isoformat(),
        **({} if guidance is None else {"guidance": guidance}),
        **_of_schedules(first),
        **({"peak_mib": first.peaks} if first.peaks else {}),
        **{key: value for key, value in asdict(running).items() if value and (key != "offload" or zoo.offload)},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
        },
    }
    if len(sizes) > 1:
        others = zip(sizes[1:], profiles[1:], strict=True)
        card["other_batches"] = tuple({"batch_size": size, "ms": _milliseconds(profile)} for size, profile in others)
    if weights := weights_of(zoo):
        card["weights"] = tuple(weights)
    write_latency_card(folder, card, name)
    if card.get("error", 0.0) > WARNED_ERROR:
        warnings.warn(
            f"{path} is up to {card['error']:.0%} off the time of a whole schedule, and budgets in ms are no nearer to "
            "the truth: profile with more repeats, on a machine that does nothing else",
            InputWarning,
            stacklevel=2,
        )
    return card


def _milliseconds(profile: Profile) -> list[float]:
    return [max(round(value, 3), 0.001) for value in profile.ms]  # a table of latencies has no zeros


def _of_schedules(profile: Profile) -> dict[str, Any]:
    """What whole schedules tell beside the members, for the card."""
    if not len(profile.X):
        return {}
    table = profile.fitted()
    return {
        **{f"{name}_ms": ms for name, ms in table.terms().items()},
        "schedules": len(profile.X),
        "error": round(profile.error(table), 4),
        "error_of_sum": round(profile.error(profile.ms), 4),
    }
