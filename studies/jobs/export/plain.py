"""``--to json``: all numbers of a schedule."""

from __future__ import annotations

import json

from studies.jobs.export.schedule import Exported


def export(exported: Exported) -> str:
    """Timesteps, sigmas and members, one an evaluation, in JSON."""
    table = {
        "schedule": exported.schedule,
        "solver": exported.solver,
        "timesteps": exported.timesteps,
        "sigmas": exported.sigmas,
        "sigma_is": "flow" if exported.is_flow else "sigma/alpha",
        "evaluations": [
            {"slot": e.slot, "member": e.member, "name": exported.name(e.member), "order": e.order}
            for e in exported.evaluations
        ],
        "noise": exported.noise.table(),
    }
    return json.dumps(table, indent=2) + "\n"
