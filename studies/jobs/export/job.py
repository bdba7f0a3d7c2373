"""Reading a schedule with all that a target asks of it, and writing what the target makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from omsdpm.errors import InputError
from omsdpm.files import check_writable, replacing
from omsdpm.noise import Noise, make_noise
from omsdpm.pipelines.file import MemberEntry
from omsdpm.released import infer_solver
from omsdpm.solvers import ScheduleSpace, compile_plans, space_on
from omsdpm.tables import read_table
from omsdpm.zoo.files import ZooFile
from studies.jobs.export.schedule import Evaluation, Exported
from studies.jobs.export.settings import TARGETS, ExportSettings
from studies.jobs.schedules import ScheduleSource, read_source


def export(settings: ExportSettings) -> str:
    """The text of an export; written too, where the settings name a file.

    Raises:
        InputError: something in ``settings`` cannot be used, or the target cannot express the schedule.
    """
    if settings.output is not None:
        check_writable(settings.output)
    text: str = TARGETS.load(settings.to)(opened(settings))
    if settings.output is not None and not _written(settings.output, text):
        with replacing(settings.output) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return text


def _written(output: Path, text: str) -> bool:
    """Whether the file is there, as a command that was stopped leaves it.

    Raises:
        InputError: it is another one.
    """
    if not output.exists():
        return False
    if not output.is_file() or output.read_bytes() != text.encode():
        raise InputError(f"{output} exists, and is another schedule or target: name another --output")
    return True


def opened(settings: ExportSettings) -> Exported:
    """The schedule that is asked for, compiled.

    Raises:
        InputError: no such schedule, or neither a run nor a zoo that says the noise schedule.
    """
    source = read_source(settings.schedule).one(settings.budget, settings.row)
    noise, members, folder = _zoo(settings, source)
    (x,) = source.renumbered(max(members, default=0))
    solver = settings.solver or source.solver or infer_solver(x[None])
    timesteps = settings.timesteps or (source.timesteps if solver == source.solver else None)
    space = space_on(noise, solver, max([*members, int(x.max())]), len(x), timesteps)
    space.check(x)
    steps = space.solver_noise(noise)
    options = source.options(solver, settings.spacing)
    if options.eta:
        raise InputError(f"{source.source} was searched with eta={options.eta:g}: only eta=0 can be exported")
    (plan,) = compile_plans(x[None], space, steps, options)
    times = steps.time(np.array([stage.timestep for stage in plan.stages]))
    slots = np.flatnonzero(x)[::-1].tolist()
    rows = zip(slots, plan.stages, steps.alpha(times).tolist(), steps.sigma(times).tolist(), strict=True)
    orders = _orders(space, slots)
    evaluations = tuple(
        Evaluation(slot, stage.model, stage.timestep, alpha, sigma, order)
        for (slot, stage, alpha, sigma), order in zip(rows, orders, strict=True)
    )
    return Exported(tuple(x.tolist()), space, options, evaluations, noise, members, folder)


def _zoo(settings: ExportSettings, source: ScheduleSource) -> tuple[Noise, dict[int, MemberEntry], str | None]:
    """The noise schedule, what is known of each member by its number, and where the zoo is."""
    said: Any = source.problem
    if settings.zoo is not None:
        file = ZooFile.read(settings.zoo)
        members = {k: MemberEntry.of(k, member) for k, member in enumerate(file.members, 1)}
        return file.noise, members, str(settings.zoo.resolve())
    if "noise" in said:
        zoo = said.get("zoo", {})
        entries = [read_table(MemberEntry, entry, source.source) for entry in zoo.get("members", ())]
        return make_noise(said["noise"]), {entry.number: entry for entry in entries}, zoo.get("folder")
    raise InputError(f"{source.source} does not say its noise schedule: give --zoo FOLDER")


def _orders(space: ScheduleSpace, slots: list[int]) -> list[int | None]:
    """The order of each evaluation's step; the last of a multistep solver ends in the image and is of first order."""
    if space.solver == "ddim":
        return [1] * len(slots)
    if space.solver in ("dpm-solver++", "unipc"):
        return [1 if at in (0, len(slots) - 1) else 2 for at in range(len(slots))]
    if space.solver == "dpm-solver":
        groups = [slot // space.group_size for slot in slots]
        return [groups.count(group) for group in groups]
    return [None] * len(slots)
