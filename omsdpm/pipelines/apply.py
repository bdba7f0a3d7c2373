"""Putting a schedule into a pipeline, and taking it out again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.pipelines.file import ScheduleFile
from omsdpm.pipelines.guidance import PROTOCOLS, protocol_of
from omsdpm.solvers import USUAL, Plan, ScheduleSpace, SolverOptions, compile_plans

if TYPE_CHECKING:
    from omsdpm.pipelines.model import ScheduledModel
    from omsdpm.pipelines.scheduler import PlanScheduler
    from omsdpm.zoo import ModelZoo

DENOISERS = ("unet", "transformer", "transformer_2")
"""Attributes of pipelines that hold the network that is sampled with."""


@dataclass
class Applied:
    """A schedule in a pipeline.

    A context manager that takes it out at the end.

    Attributes:
        pipe: the pipeline.
        plan: what it samples with.
        scheduler, model: what stands in it now.
    """

    pipe: Any
    plan: Plan
    scheduler: PlanScheduler
    model: ScheduledModel
    _before: dict[str, Any] = field(repr=False)

    def undo(self) -> None:
        """Gives the pipeline its own denoiser and scheduler back; a second time it does nothing."""
        for name, part in self._before.items():
            setattr(self.pipe, name, part)
        self._before = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.undo()


def apply(
    pipe: Any,
    schedule: str | Path | ScheduleFile | ArrayLike,
    *,
    zoo: str | Path | ModelZoo | None = None,
    space: ScheduleSpace | None = None,
    noise: Noise | None = None,
    options: SolverOptions | None = None,
    guidance: Sequence[float | None] | Mapping[int, float | None] | None = None,
    seed: int | None = None,
) -> Applied:
    """Makes a pipeline of diffusers sample with a schedule.

    Its denoiser becomes the zoo behind the schedule, and its scheduler the schedule's plan: timesteps, number of
    steps and solver are no longer the call's. Everything else (prompts, guidance, size, decoding) is as before.

    Args:
        pipe: a pipeline with a ``unet`` or ``transformer``, of the same class and channels as the members.
        schedule: a file that ``omsdpm-bench export --to json`` wrote, or ``(L,)`` members with ``space`` and ``zoo``.
        zoo: the members, or their folder; of a file, the folder that it names.
        space: says the solver; of a file, its own.
        noise: that the members were trained with; the zoo's.
        options: of the solver; of a file, its own.
        guidance: scale of each member, in their order or by number: ``None`` is the scale of the pipeline's
            call, 1 unguided. Without it, what the zoo says.
        seed: of the fresh noise that ``eta > 0`` adds, as :func:`omsdpm.sampling.sample` draws it; without it
            the generator of the pipeline's call draws it.

    Returns:
        What undoes it.

    Raises:
        InputError: a schedule that is none, no zoo, members that are not of the pipeline's kind, or a scale for
            a pipeline that is not guided.

    Example:
        >>> with apply(pipe, "schedule.json"):
        ...     image = pipe("a cat").images[0]
    """
    if isinstance(schedule, (str, Path)):
        schedule = ScheduleFile.read(schedule)
    if isinstance(schedule, ScheduleFile):
        file, schedule = schedule, np.array(schedule.schedule)
        space = space or file.schedule_space
        options = options or file.options.options
        noise = noise or file.noise
        zoo = zoo or file.zoo.folder
    if space is None:
        raise InputError("a schedule of numbers needs space=, which says its solver; an exported file has it")
    if zoo is None:
        raise InputError("the schedule does not say whose members it names: give zoo=, a ModelZoo or its folder")
    places = _places(pipe)
    members = _opened(zoo, pipe)
    if space.num_models > len(members.members):
        raise InputError(f"the schedule is for {space.num_models} members, the zoo has {len(members.members)}")
    noise = noise or members.noise
    X = space.check(np.asarray(schedule)[None] if np.ndim(schedule) == 1 else schedule)
    if len(X) != 1:
        raise InputError(f"{len(X)} schedules: a pipeline samples with one")
    (plan,) = compile_plans(X, space, space.solver_noise(noise), options or USUAL)
    called = {int(number): members.members[number - 1] for number in dict.fromkeys(plan.models.tolist())}
    modules = {number: _module(number, member, pipe, places[0]) for number, member in called.items()}
    scales = {number: _scale(number, member, guidance) for number, member in called.items()}
    protocol = protocol_of(pipe)
    if protocol is None and any(scale is not None for scale in scales.values()):
        raise InputError(f"{type(pipe).__name__} takes no guidance of members; those that do: {', '.join(PROTOCOLS)}")

    from omsdpm.pipelines.model import ScheduledModel
    from omsdpm.pipelines.scheduler import PlanScheduler

    scheduler = PlanScheduler(plan=plan, members=called, noise=noise, seed=seed, num_train_timesteps=noise.steps)
    model = ScheduledModel(modules, scheduler, scales, protocol, pipe)
    applied = Applied(pipe, plan, scheduler, model, {name: getattr(pipe, name) for name in (*places, "scheduler")})
    for name in places:
        setattr(pipe, name, model)
    pipe.scheduler = scheduler
    return applied


def _places(pipe: Any) -> list[str]:
    """The attributes that hold the pipeline's denoiser.

    Raises:
        InputError: none does, or a schedule does already.
    """
    places = [name for name in DENOISERS if getattr(pipe, name, None) is not None]
    if not places or not hasattr(pipe, "scheduler"):
        raise InputError(f"{type(pipe).__name__} is no pipeline with a scheduler and a {' or '.join(DENOISERS[:2])}")
    if type(pipe.scheduler).__name__ == "PlanScheduler":
        raise InputError(f"a schedule is applied to this {type(pipe).__name__} already: undo() that first")
    return places


def _opened(zoo: str | Path | ModelZoo, pipe: Any) -> ModelZoo:
    from omsdpm.zoo import ModelZoo

    if isinstance(zoo, ModelZoo):
        return zoo
    return ModelZoo.load(zoo, device=str(pipe.device), profiled=False, lazy=True)  # those that are called are read


def _module(number: int, member: Any, pipe: Any, place: str) -> Any:
    """A member's model, which may stand where the pipeline's does.

    Raises:
        InputError: it has none, or one of another class, number of channels or device.
    """
    module, own = member.network.module, getattr(pipe, place)
    if module is None:
        raise InputError(f"member {number} ({member.name}) is no model of diffusers: a pipeline cannot call it")
    if type(module).__name__ != type(own).__name__:
        raise InputError(f"member {number} ({member.name}) is a {type(module).__name__}, the pipeline's {place} a "
                         f"{type(own).__name__}: only a zoo of the same class can stand in for it")  # fmt: skip
    if member.network.pipeline is not None:
        raise InputError(f"member {number} ({member.name}) has text encoders of its own, {member.network.pipeline}: "
                         "the prompts of a pipeline's call are read by the pipeline's alone")  # fmt: skip
    theirs, ours = (one.config.get("in_channels") for one in (own, module))
    if theirs != ours:
        raise InputError(f"member {number} ({member.name}) takes {ours} channels, the pipeline's {place} {theirs}")
    if module.device != own.device:
        raise InputError(f"member {number} ({member.name}) is on {module.device}, the pipeline on {own.device}: "
                         "load the zoo there")  # fmt: skip
    return module


def _scale(
    number: int, member: Any, guidance: Sequence[float | None] | Mapping[int, float | None] | None
) -> float | None:
    """The scale of a member's own; ``None`` where it takes the pipeline's."""
    if guidance is None:
        own: float | None = getattr(member.network, "guidance", None)
        return own
    if isinstance(guidance, Mapping):
        return guidance.get(number)
    if number > len(guidance):
        raise InputError(f"{len(guidance)} scales of guidance, but the schedule calls member {number}")
    return guidance[number - 1]
