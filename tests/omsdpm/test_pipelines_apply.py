"""``omsdpm.pipelines.apply``: tiny pipelines sample what our executor does, and are themselves again after."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from omsdpm.errors import InputError
from omsdpm.networks.base import Network
from omsdpm.noise.scheduler_config import noise_from_scheduler_config
from omsdpm.pipelines import apply
from omsdpm.sampling import sample
from omsdpm.solvers import SolverOptions, space_on
from omsdpm.zoo import ModelZoo
from omsdpm.zoo.member import Member
from tests import pipelines

pytest.importorskip("transformers", minversion="5")  # whose tokenizers are made from a vocabulary
pytest.importorskip("diffusers", minversion="0.34")

KINDS = ("ddpm", "ddim", "sd", "sdxl", "sd3", "flux", "dit", "pixart", "sana", "wan")
GUIDED = ("sd", "sdxl", "sd3", "flux", "dit", "pixart", "sana", "wan")
SCALE = 4.0
SHAPES = {
    "ddpm": (1, 8, 8),
    "ddim": (1, 8, 8),
    "flux": (16, 16),
    "sana": (4, 16, 16),
    "wan": (16, 1, 4, 4),
}


def evaluation(kind, pipe):
    """``(module, x, t, conditional) -> output``: what the pipeline calls its network with."""
    if kind in ("ddpm", "ddim"):
        return lambda module, x, t, conditional: module(x, t).sample
    if kind == "dit":
        return lambda module, x, t, conditional: module(
            x, timestep=t, class_labels=torch.full((len(x),), 3 if conditional else 1000)
        ).sample[:, :4]
    if kind == "sd":
        c, u = pipe.encode_prompt("a cat", "cpu", 1, True)
        return lambda module, x, t, conditional: module(x, t, encoder_hidden_states=c if conditional else u).sample
    if kind == "sdxl":
        c, u, pooled_c, pooled_u = pipe.encode_prompt("a cat", device="cpu")
        ids = torch.tensor([[16.0, 16, 0, 0, 16, 16]])

        def sdxl(module, x, t, conditional):
            added = {"text_embeds": pooled_c if conditional else pooled_u, "time_ids": ids}
            return module(x, t, encoder_hidden_states=c if conditional else u, added_cond_kwargs=added).sample

        return sdxl
    if kind == "sd3":
        c, u, pooled_c, pooled_u = pipe.encode_prompt("a cat", None, None, max_sequence_length=16)
        return lambda module, x, t, conditional: (
            module(
                hidden_states=x,
                timestep=t,
                encoder_hidden_states=c if conditional else u,
                pooled_projections=pooled_c if conditional else pooled_u,
            ).sample
        )
    if kind == "flux":
        text = [pipe.encode_prompt(prompt, None, max_sequence_length=16) for prompt in ("", "a cat")]
        places = pipe._prepare_latent_image_ids(1, 4, 4, "cpu", torch.float32)

        def flux(module, x, t, conditional):
            embedded, pooled, ids = text[int(conditional)]
            return module(
                hidden_states=x,
                timestep=t / 1000,
                encoder_hidden_states=embedded,
                pooled_projections=pooled,
                txt_ids=ids,
                img_ids=places,
            ).sample

        return flux
    if kind in ("pixart", "sana"):
        more = {"complex_human_instruction": None} if kind == "sana" else {}
        c, mask_c, u, mask_u = pipe.encode_prompt("a cat", max_sequence_length=16, **more)
        added = {"added_cond_kwargs": {"resolution": None, "aspect_ratio": None}} if kind == "pixart" else {}
        return lambda module, x, t, conditional: module(
            x,
            encoder_hidden_states=c if conditional else u,
            encoder_attention_mask=mask_c if conditional else mask_u,
            timestep=t,
            **added,
        ).sample[:, :4]
    c, u = pipe.encode_prompt("a cat", max_sequence_length=16)
    return lambda module, x, t, conditional: (
        module(hidden_states=x, timestep=t, encoder_hidden_states=c if conditional else u).sample
    )


class Raw(Network):
    """A model of diffusers, evaluated as its pipeline does and guided here; counts what it evaluates."""

    def __init__(self, module, evaluate, scale, guidance=None):
        self._module, self.evaluate = module, evaluate
        self.scale, self.guidance = scale if guidance is None else guidance, guidance

    @property
    def module(self):
        return self._module

    def __call__(self, x, timesteps, **conditions):
        c = self.evaluate(self._module, x, timesteps, True)
        if self.scale == 1:
            return c
        u = self.evaluate(self._module, x, timesteps, False)
        return u + self.scale * (c - u)


class Tiny:
    """A pipeline, a zoo of two networks for it (of which one is its own), and its call."""

    def __init__(self, folder, kind, guidance=(None, None)):
        self.kind = kind
        make = getattr(pipelines, f"tiny_{kind}")
        self.pipe, other = pipelines.loaded(make(folder / "a")), pipelines.loaded(make(folder / "b", seed=7))
        config = json.loads((folder / "a/scheduler/scheduler_config.json").read_text())
        self.noise = noise_from_scheduler_config(config)
        place = "unet" if hasattr(self.pipe, "unet") else "transformer"
        predicts = "flow_prediction" if self.noise.kind == "flow" else "epsilon"
        scale = SCALE if kind in GUIDED else 1.0
        evaluate = evaluation(kind, self.pipe)
        modules = (getattr(pipe, place) for pipe in (self.pipe, other))
        networks = [Raw(module, evaluate, scale, own) for module, own in zip(modules, guidance, strict=True)]
        members = [Member(f"m{n}", network, self.noise, predicts) for n, network in enumerate(networks)]
        self.zoo = ModelZoo(members, self.noise, SHAPES.get(kind, (4, 8, 8)))
        self.call = dict(pipelines.CALLS[kind])
        if kind == "flux":
            self.call |= {"negative_prompt": "", "true_cfg_scale": SCALE}
        elif kind in GUIDED:
            self.call |= {"guidance_scale": SCALE}

    @property
    def starts(self):
        return torch.randn((1, *self.zoo.shape), generator=torch.Generator().manual_seed(3))

    def image(self, **more):
        """The latents that the pipeline ends in, or the image before it is clamped."""
        # Of those that take no latents, the generator draws the starting noise first.
        takes = self.kind not in ("ddpm", "ddim", "dit")
        given = {"latents": self.starts} if takes else {"generator": torch.Generator().manual_seed(3)}
        return pipelines.latents(self.pipe, **{**self.call, "num_inference_steps": 4, **given, **more})[:1]

    def ours(self, schedule, space, **more):
        noise = space.solver_noise(self.noise)
        return sample(self.zoo.denoisers, schedule, self.starts, space=space, noise=noise, **more)


@pytest.fixture
def tiny(tmp_path):
    return lambda kind, **more: Tiny(tmp_path, kind, **more)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipeline_samples_what_the_executor_does(tiny, kind):
    one = tiny(kind)
    before = one.image()
    space = space_on(one.noise, "dpm-solver++", 2, 5)
    images = []
    for schedule in ([1, 1, 1, 1, 1], [2, 1, 0, 1, 2]):
        with apply(one.pipe, schedule, zoo=one.zoo, space=space):
            images.append(one.image())
            again = one.image()
        assert torch.equal(again, images[-1])
        torch.testing.assert_close(images[-1], one.ours(schedule, space), atol=1e-4, rtol=0)
        assert torch.equal(one.image(), before)
    assert (images[0] - images[1]).abs().max() > 1e-3 and (images[0] - before).abs().max() > 1e-3


@pytest.mark.parametrize("kind", GUIDED)
@pytest.mark.parametrize("guidance", [(None, 1.0), (1.0, 7.0)])
def test_members_have_scales_of_their_own(tiny, kind, guidance):
    one = tiny(kind, guidance=guidance)
    space = space_on(one.noise, "ddim", 2, 5)
    schedule = [2, 1, 0, 1, 2]
    with apply(one.pipe, schedule, zoo=one.zoo, space=space):
        torch.testing.assert_close(one.image(), one.ours(schedule, space), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["sd", "wan", "dit"])
def test_an_unguided_member_costs_one_evaluation(tiny, kind):
    one = tiny(kind, guidance=(1.0, None))
    rows = []
    for member in one.zoo.members:
        member.network.module.register_forward_hook(
            lambda module, args, kwargs, output: rows.append(len(output[0])), with_kwargs=True
        )
    with apply(one.pipe, [1, 2, 1, 1], zoo=one.zoo, space=space_on(one.noise, "ddim", 2, 4)):
        one.image()
    assert rows == ([1, 1, 1, 1, 1] if kind == "wan" else [1, 1, 2, 1])


@pytest.mark.parametrize("solver, length", [("unipc", 5), ("dpm-solver", 6), ("ddim", 5)])
@pytest.mark.parametrize("kind", ["ddpm", "sd3"])
def test_any_solver_steps_through_the_pipeline(tiny, solver, length, kind):
    one = tiny(kind)
    space = space_on(one.noise, solver, 2, length)
    schedule = np.arange(length) % 2 + 1
    with apply(one.pipe, schedule, zoo=one.zoo, space=space) as applied:
        # DPM-Solver begins at t = 0.999 of a flow, where a rounding of guidance weighs a thousandfold.
        torch.testing.assert_close(one.image(), one.ours(schedule, space), atol=1e-4, rtol=1e-3)
        assert len(applied.scheduler.timesteps) == length and len(applied.scheduler._states) == 0


def test_fresh_noise_is_the_executors_or_the_calls(tiny):
    one = tiny("ddpm")
    space, options = space_on(one.noise, "ddim", 2, 5), SolverOptions(eta=1.0)
    with apply(one.pipe, [1, 2, 1, 1, 1], zoo=one.zoo, space=space, options=options, seed=11):
        torch.testing.assert_close(one.image(), one.ours([1, 2, 1, 1, 1], space, options=options, seed=11))
    with apply(one.pipe, [1, 2, 1, 1, 1], zoo=one.zoo, space=space, options=options):
        first = one.image()
        assert torch.equal(first, one.image())  # the call's generator, seeded alike
        assert (first - one.image(generator=torch.Generator().manual_seed(4))).abs().max() > 1e-3


def test_half_precision_members_take_the_pipelines_input(tiny):
    one = tiny("sd")
    full = one.ours([1, 2, 1], space := space_on(one.noise, "ddim", 2, 3))
    one.zoo.members[1].network.module.to(torch.bfloat16)
    with apply(one.pipe, [1, 2, 1], zoo=one.zoo, space=space):
        mixed = one.image()
    assert mixed.dtype == torch.float32 and 0 < (mixed - full).abs().max() < 0.3


def test_what_cannot_be_applied_is_one_line(tiny, tmp_path):
    one = tiny("sd")
    space = space_on(one.noise, "ddim", 2, 3)
    unconditional = Tiny(tmp_path / "d", "ddpm")
    wide = pipelines.loaded(pipelines.tiny_sd(tmp_path / "wide", in_channels=9))
    channels = ModelZoo([Member("wide", Raw(wide.unet, None, 1.0), one.noise)] * 2, one.noise, (9, 8, 8))
    function = ModelZoo([Member("f", _Function(), one.noise)] * 2, one.noise, (4, 8, 8))
    for given, message in [
        (dict(zoo=one.zoo), "needs space="),
        (dict(space=space), "give zoo="),
        (
            dict(space=space, zoo=unconditional.zoo),
            r"\(m1\) is a UNet2DModel, the pipeline's unet a UNet2DCond",
        ),
        (dict(space=space, zoo=channels), r"member 2 \(wide\) takes 9 channels, the pipeline's unet 4"),
        (dict(space=space, zoo=function), r"member 2 \(f\) is no model of diffusers"),
        (dict(space=space_on(one.noise, "ddim", 3, 3), zoo=one.zoo), "for 3 members, the zoo has 2"),
        (dict(space=space, zoo=one.zoo, guidance=[1.0]), "1 scales of guidance, but the schedule calls member 2"),
    ]:
        with pytest.raises(InputError, match=message):
            apply(one.pipe, [1, 1, 2], **given)
    with pytest.raises(InputError, match="DDPMPipeline takes no guidance of members; those that do: StableDiff"):
        apply(unconditional.pipe, [1, 1, 2], space=space, zoo=unconditional.zoo, guidance={1: 2.0})
    with pytest.raises(InputError, match="str is no pipeline"):
        apply("pipe", [1, 1, 2], space=space, zoo=one.zoo)
    with apply(one.pipe, [1, 1, 2], space=space, zoo=one.zoo), pytest.raises(InputError, match=r"applied .* already"):
        apply(one.pipe, [1, 1, 2], space=space, zoo=one.zoo)


class _Function(Network):
    def __call__(self, x, timesteps, **conditions):
        return x


@pytest.mark.parametrize("kind", ["sd", "flux"])
def test_a_member_waits_for_guidance_that_the_call_lacks(tiny, kind):
    one = tiny(kind, guidance=(3.0, None))
    one.call = dict(pipelines.CALLS[kind]) | ({"guidance_scale": 1.0} if kind == "sd" else {})
    with (
        apply(one.pipe, [1, 1], zoo=one.zoo, space=space_on(one.noise, "ddim", 2, 2)),
        pytest.raises(InputError, match="member 1 is guided with scale 3: call the pipeline with guidance"),
    ):
        one.image()


def test_a_schedule_is_sampled_whole(tiny):
    one = tiny("sd")
    applied = apply(one.pipe, [1, 1], zoo=one.zoo, space=space_on(one.noise, "ddim", 2, 2))
    with pytest.raises(InputError, match="from its noise end"):
        applied.scheduler.set_begin_index(1)
    with pytest.raises(InputError, match="evaluation 0 of the schedule is at timestep 500"):
        applied.scheduler.step(one.starts, 1, one.starts)
    one.image()
    with pytest.raises(InputError, match="all 2 evaluations of the schedule are done"):
        applied.scheduler.step(one.starts, 0, one.starts)
    noisy = applied.scheduler.add_noise(torch.ones(1, 4, 8, 8), torch.zeros(1, 4, 8, 8), torch.tensor([999]))
    assert noisy.flatten()[0].item() == pytest.approx(float(one.noise.alpha(1.0)), rel=1e-5)
