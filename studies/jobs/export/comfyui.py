"""``--to comfyui``: a workflow fragment in ComfyUI's API format, a ``SamplerCustom`` for each run of one member."""

from __future__ import annotations

import json
from typing import Any

from omsdpm.errors import InputError
from studies.jobs.export.schedule import Exported

SAMPLERS = {"ddim": "euler", "dpm-solver++": "dpmpp_2m"}
"""Samplers of k-diffusion that step as our solvers do."""


def export(exported: Exported) -> str:
    """``ManualSigmas``, split where the member changes; models, prompts and the latent image are left to connect.

    Raises:
        InputError: a solver that ComfyUI lacks, one that starts anew at a switch, or members that clip.
    """
    exported.check_clips_nothing("comfyui")
    if exported.solver not in SAMPLERS:
        raise InputError(
            f"comfyui has no sampler that steps as {exported.solver}, from slot {exported.evaluations[0].slot}"
        )
    if exported.switches and exported.solver != "ddim":
        slot = exported.evaluations[exported.switches[0]].slot
        raise InputError(f"comfyui's {SAMPLERS[exported.solver]} starts anew at slot {slot}, where the member changes")
    nodes: dict[str, Any] = {
        "sigmas": _node("ManualSigmas", sigmas=", ".join(repr(sigma) for sigma in exported.sigmas)),
        "sampler": _node("KSamplerSelect", sampler_name=SAMPLERS[exported.solver]),
    }
    starts, left, latent = [0, *exported.switches], ["sigmas", 0], ["latent", 0]
    for part, start in enumerate(starts):
        sigmas = left
        if part + 1 < len(starts):
            nodes[f"split {part}"] = _node("SplitSigmas", sigmas=left, step=starts[part + 1] - start)
            sigmas, left = [f"split {part}", 0], [f"split {part}", 1]
        member = exported.evaluations[start].member
        nodes[f"part {part}"] = _node(
            "SamplerCustom", model=[f"member {member}", 0], add_noise=part == 0, noise_seed=0, cfg=1.0,
            positive=["positive", 0], negative=["negative", 0], sampler=["sampler", 0], sigmas=sigmas,
            latent_image=latent,
        )  # fmt: skip
        nodes[f"part {part}"]["_meta"] = {"title": f"member {member}: {exported.name(member)}"}
        latent = [f"part {part}", 0]
    return json.dumps(nodes, indent=2) + "\n"


def _node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}
