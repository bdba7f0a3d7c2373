"""``--to diffusers``: the scheduler and what to pass to a pipeline's call, tried on diffusers before it is said."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from omsdpm.errors import InputError
from studies.jobs.export.schedule import Evaluation, Exported

CLOSE = 1e-3
"""Of a timestep: how far a scheduler's grid may be from the schedule's."""

BETAS = {"linear": "linear", "scaled-linear": "scaled_linear", "cosine": "squaredcos_cap_v2"}
"""Noise schedules by what diffusers calls them."""


class Way(NamedTuple):
    """A scheduler with its configuration, and the arguments of ``set_timesteps`` or of a pipeline's call.

    ``step`` is what ``step`` is told in each call, or a pipeline that hands it on.
    """

    scheduler: str
    config: dict[str, Any]
    call: dict[str, Any]
    step: Mapping[str, Any] = MappingProxyType({})


def export(exported: Exported) -> str:
    """The first way in which diffusers steps through the schedule's timesteps.

    Raises:
        InputError: no scheduler steps so; names the first slot at which the nearest differs.
    """
    reason = ""
    for way in _ways(exported):
        fault = _fault(way, exported)
        if fault is None:
            table = {**way._asdict(), "members": exported.calls()}
            if not way.step:
                del table["step"]
            return json.dumps(table, indent=2) + "\n"
        reason = reason or fault
    none = f"diffusers has no scheduler that steps as {exported.solver} on {exported.noise.kind} noise does"
    raise InputError(reason or f"{none}, from slot {exported.evaluations[0].slot}")


def _ways(exported: Exported) -> Iterator[Way]:
    n = len(exported.evaluations)
    if exported.is_flow:
        exported.check_ends_in_the_image("diffusers' flow matching")
        exported.check_clips_nothing("diffusers' flow matching")
        steps = {"num_train_timesteps": exported.noise.steps}
        sigmas = {"sigmas": exported.sigmas[:-1]}  # shifted already
        if exported.solver == "ddim":
            yield Way("FlowMatchEulerDiscreteScheduler", {**steps, "shift": 1.0}, sigmas)
        elif exported.solver == "unipc":
            config = {**steps, "use_flow_sigmas": True, "flow_shift": 1.0, "prediction_type": "flow_prediction"}
            yield Way("UniPCMultistepScheduler", {**config, "solver_order": 2, "solver_type": "bh2"}, sigmas)
        return
    config, t_end = _betas(exported), exported.options.t_end
    first = t_end is not None and math.isclose(t_end, 1 / exported.noise.steps)
    if t_end is not None and not first:
        raise InputError(f"diffusers ends in the image or at the first timestep, t_end = {1 / exported.noise.steps:g}: "
                         f"after slot {exported.evaluations[-1].slot} this schedule ends at {t_end:g}")  # fmt: skip
    even: list[tuple[str, int]] = [("leading", 0), ("leading", 1), ("trailing", 0), ("linspace", 0)]
    if exported.solver == "ddim":
        clips, step = _clipping(exported)
        for spacing, offset in even[:3]:
            more = {"timestep_spacing": spacing, "steps_offset": offset, **clips, "set_alpha_to_one": not first}
            if n > 1 and exported.noise.steps % n == 0:
                way = Way("DDIMScheduler", {**config, **more}, {"num_inference_steps": n}, step)
                if _fault(way, exported) is None:
                    yield way
    exported.check_clips_nothing(f"diffusers' scheduler for {exported.solver} on these slots")
    if exported.solver in ("ddim", "dpm-solver++"):  # of first order they are one and the same
        more = {"solver_order": 1 if exported.solver == "ddim" else 2, "algorithm_type": "dpmsolver++",
                "solver_type": "midpoint", "final_sigmas_type": "sigma_min" if first else "zero"}  # fmt: skip
        yield Way("DPMSolverMultistepScheduler", {**config, **more}, {"timesteps": exported.timesteps})
    if exported.solver == "unipc":
        for spacing, offset in reversed(even):
            more = {"solver_order": 2, "solver_type": "bh2", "final_sigmas_type": "zero",
                    "timestep_spacing": spacing, "steps_offset": offset}  # fmt: skip
            yield Way("UniPCMultistepScheduler", {**config, **more}, {"num_inference_steps": n})


def _clipping(exported: Exported) -> tuple[dict[str, Any], dict[str, Any]]:
    """What DDIM's scheduler is made with, and what its step is told."""
    ways: dict[tuple[float | None, bool], Evaluation] = {}
    for e in exported.evaluations:
        member = exported.members.get(e.member)
        clip = None if member is None else member.clip
        ways.setdefault((clip, member is None or member.use_clipped_model_output), e)
    if len(ways) > 1:
        e = list(ways.values())[1]
        raise InputError(f"a scheduler clips in one way: slot {e.slot} calls member {e.member}, which clips otherwise "
                         "than the one before")  # fmt: skip
    ((clip, clipped_noise),) = ways
    if clip is None:
        return {"clip_sample": False}, {}
    step = {"use_clipped_model_output": True} if clipped_noise else {}
    return {"clip_sample": True, "clip_sample_range": clip}, step


def _betas(exported: Exported) -> dict[str, Any]:
    table, noise = exported.noise.table(), exported.noise
    if not hasattr(noise, "betas"):
        raise InputError(f"diffusers takes betas: noise {noise.kind!r} of slot {exported.evaluations[0].slot} has none")
    called = (exported.members[e.member] for e in exported.evaluations if e.member in exported.members)
    predictions = {member.prediction_type for member in called}
    if len(predictions) > 1:
        slot = exported.evaluations[exported.switches[0]].slot
        kinds = ", ".join(sorted(predictions))
        raise InputError(f"a scheduler takes one prediction type: slot {slot} begins another, of {kinds}")
    kind = next(iter(predictions), "epsilon")
    config: dict[str, Any] = {"num_train_timesteps": noise.steps, "prediction_type": kind}
    if noise.kind in BETAS and table.get("max_beta", 0.999) == 0.999:
        config["beta_schedule"] = BETAS[noise.kind]
        config |= {key: table[key] for key in ("beta_start", "beta_end") if key in table}
        config["rescale_betas_zero_snr"] = bool(table.get("zero_terminal_snr", False))
    else:
        config["trained_betas"] = np.asarray(noise.betas).tolist()
    return config


def _fault(way: Way, exported: Exported) -> str | None:
    """Where a scheduler's timesteps differ from the schedule's; ``None`` where they do not."""
    import diffusers

    scheduler = getattr(diffusers, way.scheduler)(**way.config)
    scheduler.set_timesteps(**way.call)
    theirs = [float(t) for t in scheduler.timesteps]
    for at, e in enumerate(exported.evaluations):
        if at >= len(theirs) or abs(theirs[at] - e.timestep) > CLOSE:
            given = f"{theirs[at]:g}" if at < len(theirs) else "none"
            return f"diffusers' {way.scheduler} cannot step at timestep {e.timestep:g} of slot {e.slot}: it has {given}"
    return None
