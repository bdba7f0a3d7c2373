"""``--to json``: all numbers of a schedule."""

from __future__ import annotations

import json

from studies.jobs.export.schedule import Exported


def export(found: Exported) -> str:
    """Timesteps, sigmas and members, one an evaluation, in JSON."""
    table = {
        "schedule": found.schedule,
        "solver": found.solver,
        "timesteps": found.timesteps,
        "sigmas": found.sigmas,
        "sigma_is": "flow" if found.is_flow else "sigma/alpha",
        "evaluations": [
            {"slot": e.slot, "member": e.member, "name": found.name(e.member), "order": e.order}
            for e in found.evaluations
        ],
        "noise": found.noise.table(),
    }
    return json.dumps(table, indent=2) + "\n"
