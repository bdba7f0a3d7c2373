"""``--to diffusers``: the scheduler and what to pass to a pipeline's call, tried on diffusers before it is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from omsdpm.errors import InputError
from studies.jobs.export.schedule import Exported

CLOSE = 1e-3
"""Of a timestep: how far a scheduler's grid may be from the schedule's."""

BETAS = {"linear": "linear", "scaled-linear": "scaled_linear", "cosine": "squaredcos_cap_v2"}
"""Noise schedules by what diffusers calls them."""


class Way(NamedTuple):
    """A scheduler with its configuration, and the arguments of ``set_timesteps`` or of a pipeline's call."""

    scheduler: str
    config: dict[str, Any]
    call: dict[str, Any]


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
            return json.dumps(table, indent=2) + "\n"
        reason = reason or fault
    none = f"diffusers has no scheduler that steps as {exported.solver} on {exported.noise.kind} noise does"
    raise InputError(reason or f"{none}, from slot {exported.evaluations[0].slot}")


def _ways(exported: Exported) -> Iterator[Way]:
    n = len(exported.evaluations)
    if exported.is_flow:
        steps = {"num_train_timesteps": exported.noise.steps}
        sigmas = {"sigmas": exported.sigmas[:-1]}  # shifted already
        if exported.solver == "ddim":
            yield Way("FlowMatchEulerDiscreteScheduler", {**steps, "shift": 1.0}, sigmas)
        elif exported.solver == "unipc":
            config = {**steps, "use_flow_sigmas": True, "flow_shift": 1.0, "prediction_type": "flow_prediction"}
            yield Way("UniPCMultistepScheduler", {**config, "solver_order": 2, "solver_type": "bh2"}, sigmas)
        return
    config = _betas(exported)
    even: list[tuple[str, int]] = [("leading", 0), ("leading", 1), ("trailing", 0), ("linspace", 0)]
    if exported.solver == "ddim":
        for spacing, offset in even[:3]:
            more = {"timestep_spacing": spacing, "steps_offset": offset, "clip_sample": False, "set_alpha_to_one": True}
            if n > 1 and exported.noise.steps % n == 0:
                way = Way("DDIMScheduler", {**config, **more}, {"num_inference_steps": n})
                if _fault(way, exported) is None:
                    yield way
    if exported.solver in ("ddim", "dpm-solver++"):  # of first order they are one and the same
        more = {"solver_order": 1 if exported.solver == "ddim" else 2, "algorithm_type": "dpmsolver++",
                "solver_type": "midpoint", "final_sigmas_type": "zero"}  # fmt: skip
        yield Way("DPMSolverMultistepScheduler", {**config, **more}, {"timesteps": exported.timesteps})
    if exported.solver == "unipc":
        for spacing, offset in reversed(even):
            more = {"solver_order": 2, "solver_type": "bh2", "final_sigmas_type": "zero",
                    "timestep_spacing": spacing, "steps_offset": offset}  # fmt: skip
            yield Way("UniPCMultistepScheduler", {**config, **more}, {"num_inference_steps": n})


def _betas(exported: Exported) -> dict[str, Any]:
    table, noise = exported.noise.table(), exported.noise
    if not hasattr(noise, "betas"):
        raise InputError(f"diffusers takes betas: noise {noise.kind!r} of slot {exported.evaluations[0].slot} has none")
    predictions = {exported.members[e.member][1] for e in exported.evaluations if e.member in exported.members}
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
