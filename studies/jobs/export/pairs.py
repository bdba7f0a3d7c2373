"""``--to wan`` and ``--to sdxl``: one switch from one network to another, as pipelines of two networks say it."""

from __future__ import annotations

import json
import math

from omsdpm.errors import InputError
from studies.jobs.export.schedule import Exported


def wan(found: Exported) -> str:
    """``boundary_ratio``: diffusers calls ``transformer`` while ``t >= boundary_ratio * num_train_timesteps``."""
    if not found.is_flow:
        raise InputError(f"wan samples flow matching: noise {found.noise.kind!r} of slot {found.evaluations[0].slot}")
    at = found.one_switch("wan")
    before, after = found.evaluations[at - 1], found.evaluations[at]
    table = {
        "boundary_ratio": (before.timestep + after.timestep) / 2 / found.noise.steps,
        "transformer": found.name(before.member),
        "transformer_2": found.name(after.member),
        "solver": found.solver,
        "num_inference_steps": len(found.evaluations),
        "sigmas": found.sigmas[:-1],
    }
    return json.dumps(table, indent=2) + "\n"


def sdxl(found: Exported) -> str:
    """``denoising_end`` of the base, ``denoising_start`` of the refiner: diffusers rounds them to a timestep."""
    at = found.one_switch("sdxl")
    before, after = found.evaluations[at - 1], found.evaluations[at]
    cutoff = max(math.floor(after.timestep) + 1, math.floor((before.timestep + after.timestep) / 2))  # the base's last
    if cutoff > before.timestep:
        raise InputError(f"sdxl switches at whole timesteps: none between slots {before.slot} and {after.slot}")
    end = (found.noise.steps - cutoff) / found.noise.steps
    table = {
        "denoising_end": end,
        "denoising_start": end,
        "base": found.name(before.member),
        "refiner": found.name(after.member),
        "solver": found.solver,
        "timesteps": found.timesteps,
    }
    return json.dumps(table, indent=2) + "\n"
