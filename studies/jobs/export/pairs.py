"""``--to wan`` and ``--to sdxl``: one switch from one network to another, as pipelines of two networks say it."""

from __future__ import annotations

import json
import math

from omsdpm.errors import InputError
from studies.jobs.export.schedule import Exported


def wan(exported: Exported) -> str:
    """``boundary_ratio``: diffusers calls ``transformer`` while ``t >= boundary_ratio * num_train_timesteps``."""
    if not exported.is_flow:
        raise InputError(
            f"wan samples flow matching: noise {exported.noise.kind!r} of slot {exported.evaluations[0].slot}"
        )
    exported.check_ends_in_the_image("wan")
    exported.check_clips_nothing("wan")
    at = exported.one_switch("wan")
    before, after = exported.evaluations[at - 1], exported.evaluations[at]
    table = {
        "boundary_ratio": (before.timestep + after.timestep) / 2 / exported.noise.steps,
        "transformer": exported.name(before.member),
        "transformer_2": exported.name(after.member),
        "solver": exported.solver,
        "num_inference_steps": len(exported.evaluations),
        "sigmas": exported.sigmas[:-1],
    }
    return json.dumps(table, indent=2) + "\n"


def sdxl(exported: Exported) -> str:
    """``denoising_end`` of the base, ``denoising_start`` of the refiner: diffusers rounds them to a timestep."""
    exported.check_ends_in_the_image("sdxl")
    exported.check_clips_nothing("sdxl")
    at = exported.one_switch("sdxl")
    before, after = exported.evaluations[at - 1], exported.evaluations[at]
    cutoff = max(math.floor(after.timestep) + 1, math.floor((before.timestep + after.timestep) / 2))  # the base's last
    if cutoff > before.timestep:
        raise InputError(f"sdxl switches at whole timesteps: none between slots {before.slot} and {after.slot}")
    end = (exported.noise.steps - cutoff) / exported.noise.steps
    table = {
        "denoising_end": end,
        "denoising_start": end,
        "base": exported.name(before.member),
        "refiner": exported.name(after.member),
        "solver": exported.solver,
        "timesteps": exported.timesteps,
    }
    return json.dumps(table, indent=2) + "\n"
