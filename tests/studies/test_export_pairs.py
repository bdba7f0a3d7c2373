"""Exports for pipelines of two networks are read back by the real pipelines: who is called when, and what comes out."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner

from omsdpm.networks.base import Network
from omsdpm.noise import make_noise
from omsdpm.pipelines import apply
from omsdpm.solvers import space_on
from omsdpm.zoo import Member, ModelZoo, ZooFile
from studies.cli import main
from tests import pipelines

pytest.importorskip("transformers", minversion="5")  # whose tokenizers are made from a vocabulary
pytest.importorskip("diffusers", minversion="0.34")

SCHEDULE = [2, 2, 2, 1, 1]
"""Image end first: two evaluations of member 1, then three of member 2."""


class Itself(Network):
    def __init__(self, module):
        self._module = module

    @property
    def module(self):
        return self._module

    def __call__(self, x, timesteps, **conditions):
        return self._module(x, timesteps, **conditions).sample


def exported(folder, to, noise, prediction, grid):
    images = {"name": "pair", "image_size": 8, "channels": 4}
    members = tuple({"folder": name, "prediction_type": prediction} for name in ("first", "second"))
    folder.mkdir()
    ZooFile(zoo=images, noise=noise, member=members).write(folder)
    schedule = " ".join(map(str, SCHEDULE))
    arguments = ["export", schedule, "--to", to, "--zoo", str(folder), "--solver", "ddim", "--timesteps", grid]
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == 0, outcome.output
    return json.loads(outcome.stdout)


def zoo_of(modules, noise, prediction):
    return ModelZoo(
        [Member(str(n), Itself(module), noise, prediction) for n, module in enumerate(modules)], noise, (4, 8, 8)
    )


def calls(**modules):
    """The names of modules in the order in which they are called, as they are."""
    called = []
    for name, module in modules.items():
        module.register_forward_hook(lambda *args, name=name: called.append(name))
    return called


def test_wan_switches_at_the_exported_boundary(tmp_path):
    table = exported(tmp_path / "zoo", "wan", {"kind": "flow", "shift": 3.0}, "flow_prediction", "flow-euler")
    pipe = pipelines.loaded(pipelines.tiny_wan(tmp_path / "p"))
    pipe.register_to_config(boundary_ratio=table["boundary_ratio"])
    modules = pipe.transformer, pipe.transformer_2
    call = pipelines.CALLS["wan"] | {"guidance_scale": 1.0, "num_inference_steps": table["num_inference_steps"]}
    call["latents"] = torch.randn(1, 16, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    called = calls(transformer=modules[0], transformer_2=modules[1])
    theirs = pipelines.latents(pipe, **call)
    assert called == ["transformer"] * 2 + ["transformer_2"] * 3
    assert pipe.scheduler.sigmas[:-1].tolist() == pytest.approx(table["sigmas"], abs=1e-6)
    noise = make_noise({"kind": "flow", "shift": 3.0})
    space = space_on(noise, "ddim", 2, 5, "flow-euler")
    with apply(pipe, SCHEDULE, zoo=zoo_of(modules, noise, "flow_prediction"), space=space):
        torch.testing.assert_close(pipelines.latents(pipe, **call), theirs, atol=1e-4, rtol=0)


def test_sdxl_hands_over_at_the_exported_end(tmp_path):
    from diffusers import DDIMScheduler, StableDiffusionXLImg2ImgPipeline

    betas = {"kind": "scaled-linear", "beta_start": 0.00085, "beta_end": 0.012}
    table = exported(tmp_path / "zoo", "sdxl", betas, "epsilon", "leading[offset=1]")
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1
    )
    base = pipelines.loaded(pipelines.tiny_sdxl(tmp_path / "base", scheduler=scheduler))
    other = pipelines.loaded(pipelines.tiny_sdxl(tmp_path / "refiner", seed=1, scheduler=scheduler))
    refiner = StableDiffusionXLImg2ImgPipeline(
        **other.components, requires_aesthetics_score=False, add_watermarker=False
    )
    refiner.set_progress_bar_config(disable=True)
    called = calls(base=base.unet, refiner=refiner.unet)
    call = {"prompt": "a cat", "guidance_scale": 1.0, "num_inference_steps": 5}
    x_T = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    half = base(**call, latents=x_T, output_type="latent", denoising_end=table["denoising_end"]).images
    sizes = {"original_size": (16, 16), "target_size": (16, 16)}
    theirs = refiner(**call, **sizes, image=half, output_type="latent", denoising_start=table["denoising_start"]).images
    assert called == ["base"] * 2 + ["refiner"] * 3
    noise = make_noise(betas)
    space = space_on(noise, "ddim", 2, 5, "leading[offset=1]")
    assert table["timesteps"] == [int(t) for t in space.grid]
    with apply(base, SCHEDULE, zoo=zoo_of((base.unet, refiner.unet), noise, "epsilon"), space=space):
        ours = pipelines.latents(base, **call, latents=x_T)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
