"""Pipelines of diffusers: what ``zoo add`` reads, and a zoo's VAE and text encoders."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.fuzz.case import Case, Kind
from tests.fuzz.kinds.zoos import damaged_weights
from tests.fuzz.mutations import Rng, json_damaged

TABLES = (
    "model_index.json", "scheduler/scheduler_config.json", "unet/config.json", "vae/config.json",
    "text_encoder/config.json", "tokenizer/tokenizer_config.json",
)  # fmt: skip
WEIGHTS = (
    "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors",
)  # fmt: skip
PROMPT = "a cat"


class PipelineKind(Kind):
    """A Stable Diffusion of a few thousand parameters, with one of its files damaged."""

    name = "pipelines"
    share = 0.7

    def case(self, rng: Rng, folder: Path) -> Case:
        pipeline = folder / "pipeline"
        shutil.copytree(self.valid / "pipeline", pipeline)
        act = rng.random()
        if act < 0.6:
            path = pipeline / TABLES[int(rng.integers(len(TABLES)))]
            what = json_damaged(path, rng)
        elif act < 0.9:
            path = pipeline / WEIGHTS[int(rng.integers(len(WEIGHTS)))]
            what = damaged_weights(path, rng)
        else:
            path = pipeline / (*TABLES, *WEIGHTS)[int(rng.integers(len(TABLES) + len(WEIGHTS)))]
            path.unlink()
            what = "missing"

        def read() -> Any:
            import torch

            from omsdpm.zoo import ModelZoo
            from omsdpm.zoo.adding import add_member

            add_member(pipeline, folder / "zoo")
            zoo = ModelZoo.load(folder / "zoo")
            prompts = zoo.encode([PROMPT])
            images = zoo.decode(torch.linspace(-1, 1, 256).reshape(1, 4, 8, 8))
            return zoo, prompts, images

        return Case(f"{path.name}: {what}", path, read, lambda accepted: _wrong(accepted, pipeline))


def _wrong(accepted: Any, pipeline: Path) -> str | None:
    """Compares what was loaded with what the pipeline itself does that diffusers reads from the same files."""
    import torch
    from diffusers import DiffusionPipeline

    zoo, prompts, images = accepted
    pipe = DiffusionPipeline.from_pretrained(pipeline, safety_checker=None)
    with torch.no_grad():
        own, _ = pipe.encode_prompt(PROMPT, "cpu", 1, True)
        if not torch.equal(own, prompts.given["encoder_hidden_states"]):
            return "the pipeline encodes the prompt otherwise"
        x = torch.linspace(-1, 1, 256).reshape(1, 4, 8, 8)
        config = pipe.vae.config  # this pipeline passes over what those of other VAEs do with the rest of it
        scaled = x / config.scaling_factor + (config.shift_factor or 0.0)
        decoded = pipe.vae.decode(scaled, return_dict=False)[0]
        if None in (config.latents_mean, config.latents_std) and not torch.allclose(
            decoded, images, atol=1e-5, equal_nan=True
        ):
            return "the pipeline decodes latents otherwise"
        noise = pipe.unet(x, 500, encoder_hidden_states=own).sample[:, :4]
        got = zoo.members[0].network(x, torch.tensor([500.0]), prompts=prompts)
    return None if torch.allclose(noise, got, atol=1e-5, equal_nan=True) else "the pipeline's network gives otherwise"
