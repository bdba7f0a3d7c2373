"""``--to comfyui``: a workflow fragment in ComfyUI's API format, a ``SamplerCustom`` for each run of one member."""

from __future__ import annotations

import json
from typing import Any

from omsdpm.errors import InputError
from studies.jobs.export.schedule import Exported

SAMPLERS = {"ddim": "euler", "dpm-solver++": "dpmpp_2m"}
"""Samplers of k-diffusion that step as our solvers do."""


def export(found: Exported) -> str:
    """``ManualSigmas``, split where the member changes; models, prompts and the latent image are left to connect.

    Raises:
        InputError: a solver that ComfyUI lacks, or one that starts anew at a switch.
    """
    if found.solver not in SAMPLERS:
        raise InputError(f"comfyui has no sampler that steps as {found.solver}, from slot {found.evaluations[0].slot}")
    if found.switches and found.solver != "ddim":
        slot = found.evaluations[found.switches[0]].slot
        raise InputError(f"comfyui's {SAMPLERS[found.solver]} starts anew at slot {slot}, where the member changes")
    nodes: dict[str, Any] = {
        "sigmas": _node("ManualSigmas", sigmas=", ".join(repr(sigma) for sigma in found.sigmas)),
        "sampler": _node("KSamplerSelect", sampler_name=SAMPLERS[found.solver]),
    }
    starts, left, latent = [0, *found.switches], ["sigmas", 0], ["latent", 0]
    for part, start in enumerate(starts):
        sigmas = left
        if part + 1 < len(starts):
            nodes[f"split {part}"] = _node("SplitSigmas", sigmas=left, step=starts[part + 1] - start)
            sigmas, left = [f"split {part}", 0], [f"split {part}", 1]
        member = found.evaluations[start].member
        nodes[f"part {part}"] = _node(
            "SamplerCustom", model=[f"member {member}", 0], add_noise=part == 0, noise_seed=0, cfg=1.0,
            positive=["positive", 0], negative=["negative", 0], sampler=["sampler", 0], sigmas=sigmas,
            latent_image=latent,
        )  # fmt: skip
        nodes[f"part {part}"]["_meta"] = {"title": f"member {member}: {found.name(member)}"}
        latent = [f"part {part}", 0]
    return json.dumps(nodes, indent=2) + "\n"


def _node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}
