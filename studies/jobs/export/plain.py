"""``--to json``: all numbers of a schedule, and all that :func:`omsdpm.pipelines.apply` needs to sample with it."""

from __future__ import annotations

import json
from dataclasses import asdict

from omsdpm.pipelines import ScheduleFile
from omsdpm.pipelines.file import EvaluationEntry, OptionsTable, ZooEntry
from omsdpm.solvers.table import SpaceTable
from studies.jobs.export.schedule import Exported


def export(exported: Exported) -> str:
    """Timesteps, sigmas and members, one an evaluation, in JSON."""
    members = [member for _, member in sorted(exported.members.items())]
    file = ScheduleFile(
        schedule=exported.schedule,
        space=SpaceTable.model_validate(exported.space.table(), strict=False),
        options=OptionsTable(**asdict(exported.options)),
        noise=exported.noise,
        zoo=ZooEntry(folder=exported.folder, members=tuple(members)),
        timesteps=tuple(exported.timesteps),
        sigmas=tuple(exported.sigmas),
        sigma_is="flow" if exported.is_flow else "sigma/alpha",
        evaluations=tuple(
            EvaluationEntry(slot=e.slot, member=e.member, name=exported.name(e.member), order=e.order)
            for e in exported.evaluations
        ),
    )
    return json.dumps(file.table(), indent=2) + "\n"
