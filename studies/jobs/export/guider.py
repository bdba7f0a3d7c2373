"""``--to guider``: one network, guided in an interval of its steps, as the guiders of diffusers say it.

Kynkäänniemi et al. (arXiv:2404.07724) limit guidance to an interval by hand; a schedule of a guided and an unguided
member of one model does so wherever it is found to be worth its second evaluation.
"""

from __future__ import annotations

import json
from typing import Any

from omsdpm.errors import InputError
from omsdpm.networks.guided import UNGUIDED
from omsdpm.zoo.files import ZooFile
from studies.jobs.export.schedule import Exported


def export(exported: Exported) -> str:
    """``start`` and ``stop`` of ``ClassifierFreeGuidance``, its scale, and the timesteps.

    Raises:
        InputError: members that differ in more than their guidance, at more than one scale, or in more than one
            interval, a last time, or members that clip: which slot.
    """
    exported.check_ends_in_the_image("guider")
    exported.check_clips_nothing("guider")
    scales = _scales(exported)
    calls = [scales[e.member] for e in exported.evaluations]
    guided = [at for at, scale in enumerate(calls) if scale != UNGUIDED]
    n = len(calls)
    start, stop = (guided[0], guided[-1] + 1) if guided else (0, 0)
    for at in range(start, stop):
        e = exported.evaluations[at]
        if calls[at] == UNGUIDED:
            raise InputError(f"guider is on in one interval: slot {e.slot} is unguided, between guided ones")
        if calls[at] != calls[start]:
            raise InputError(f"guider has one scale: slot {e.slot} is guided by {calls[at]:g}, others {calls[start]:g}")
    table = {
        "guider": "ClassifierFreeGuidance",
        "guidance_scale": calls[start] if guided else UNGUIDED,
        "start": _part(start, n),
        "stop": _part(stop, n),
        "num_inference_steps": n,
        "solver": exported.solver,
        ("sigmas" if exported.is_flow else "timesteps"): exported.sigmas[:-1]
        if exported.is_flow
        else exported.timesteps,
    }
    return json.dumps(table, indent=2) + "\n"


def _scales(exported: Exported) -> dict[int, float]:
    """The scale of each member that is called."""
    if exported.folder is None:
        raise InputError("guider has to know how members are guided: give --zoo FOLDER")
    members = ZooFile.read(exported.folder).members
    called = sorted({e.member for e in exported.evaluations})
    scales, tables = {}, []
    for number in called:
        if number > len(members):
            raise InputError(f"zoo {exported.folder} has {len(members)} members: the schedule calls member {number}")
        table: dict[str, Any] = members[number - 1].table()
        scale = table.pop("guidance", None)
        if scale is None:
            raise InputError(f"member {number} says no guidance of its own, which guider has to know")
        scales[number] = float(scale)
        tables.append(table)
        if table != tables[0]:
            slot = next(e.slot for e in exported.evaluations if e.member == number)
            raise InputError(
                f"guider is for one network: slot {slot} calls member {number}, which differs from member "
                f"{called[0]} in more than its guidance"
            )
    return scales


def _part(step: int, n: int) -> float:
    """The part of ``n`` steps that diffusers, which cuts off, takes for ``step``."""
    return step / n if step in (0, n) else (step + 0.5) / n
