"""Members that clip the images they predict, as diffusers' DDIM does with ``use_clipped_model_output=True``."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

from omsdpm.networks.predictions import PREDICTIONS
from omsdpm.networks.unet2d import UNet2D, UNet2DTable
from omsdpm.noise import DiscreteVP
from omsdpm.sampling import sample
from omsdpm.solvers import DDIMSpace, SolverOptions
from omsdpm.zoo import Member, ModelZoo, ZooFile
from omsdpm.zoo.adding import add_member
from tests import pipelines


def drawn(seed=0):
    return torch.randn((2, 1, 8, 8), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("clip", [1.0, 0.3])
def test_a_clipped_member_samples_as_ddim_does(prediction, clip, tmp_path):
    unet = pipelines.loaded(pipelines.tiny_ddpm(tmp_path)).unet
    scheduler = DDIMScheduler(
        prediction_type=prediction, clip_sample_range=clip, set_alpha_to_one=False, steps_offset=1
    )
    scheduler.set_timesteps(10)
    x = drawn()
    with torch.no_grad():
        for t in scheduler.timesteps:
            x = scheduler.step(unet(x, t).sample, t, x, use_clipped_model_output=True).prev_sample
    noise = DiscreteVP.linear()
    member = Member("m", UNet2D(unet), noise, prediction, clip)
    space = DDIMSpace.make(1, 10, timesteps="leading[offset=1]")
    ours = sample([member], np.ones(10, int), drawn(), space=space, noise=noise, options=SolverOptions(t_end=1e-3))
    torch.testing.assert_close(ours, x, atol=1e-4, rtol=0)
    free = sample(
        [Member("m", UNet2D(unet), noise, prediction)], np.ones(10, int), drawn(), space=space, noise=noise,
        options=SolverOptions(t_end=1e-3),
    )  # fmt: skip
    assert (ours - free).abs().max() > 1e-2


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_noise_and_image_of_a_clipped_prediction_agree(prediction):
    noise, x = DiscreteVP.linear(), drawn()
    member = Member("m", UNet2D(None), noise, prediction, 1.0)
    eps, image = (member.reading(3 * drawn(1), x, 400, target) for target in ("epsilon", "sample"))
    alpha, sigma = float(noise.alpha(noise.time(400))), float(noise.sigma(noise.time(400)))
    assert image.abs().max() == 1
    torch.testing.assert_close(alpha * image + sigma * eps, x)


@pytest.mark.parametrize(
    "scheduler, clip",
    [
        (DDPMScheduler(), 1.0),
        (DDIMScheduler(clip_sample_range=2.5), 2.5),
        (DDIMScheduler(clip_sample=False), None),
        (DPMSolverMultistepScheduler(), None),
    ],
)
def test_an_added_member_clips_where_its_scheduler_does(scheduler, clip, tmp_path):
    added = add_member(pipelines.tiny_ddpm(tmp_path / "p", scheduler=scheduler), tmp_path / "zoo")
    assert added.members[0].clip == clip == ZooFile.read(tmp_path / "zoo").members[0].clip
    assert ModelZoo.load(tmp_path / "zoo").members[0].clip == clip
    assert ("clip =" in (tmp_path / "zoo/zoo.toml").read_text()) == (clip is not None)


def test_a_member_without_it_says_nothing_of_it():
    assert "clip" not in UNet2DTable(folder="1").table()
