"""Members that clip the images they predict, with the noise of the clipped image or the one that was predicted."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
import tomli_w
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

from omsdpm.errors import InputError
from omsdpm.guidance import conditioned
from omsdpm.networks.predictions import PREDICTIONS
from omsdpm.networks.unet2d import UNet2D, UNet2DTable
from omsdpm.noise import DiscreteVP, make_noise
from omsdpm.sampling import sample, sample_population
from omsdpm.solvers import DDIMSpace, MultistepSpace, SolverOptions
from omsdpm.zoo import Member, ModelZoo, ZooFile
from omsdpm.zoo.adding import add_member
from tests import pipelines


def drawn(seed=0):
    return torch.randn((2, 1, 8, 8), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("clip", [1.0, 0.3])
@pytest.mark.parametrize("clipped_noise", [True, False])
def test_a_clipped_member_samples_as_ddim_does(prediction, clip, clipped_noise, tmp_path):
    unet = pipelines.loaded(pipelines.tiny_ddpm(tmp_path)).unet
    scheduler = DDIMScheduler(
        prediction_type=prediction, clip_sample_range=clip, set_alpha_to_one=False, steps_offset=1
    )
    scheduler.set_timesteps(10)
    x = drawn()
    with torch.no_grad():
        for t in scheduler.timesteps:
            x = scheduler.step(unet(x, t).sample, t, x, use_clipped_model_output=clipped_noise).prev_sample
    noise = DiscreteVP.linear()
    member = Member("m", UNet2D(unet), noise, prediction, clip, clipped_noise)
    space = DDIMSpace.make(1, 10, timesteps="leading[offset=1]")
    ours = sample([member], np.ones(10, int), drawn(), space=space, noise=noise, options=SolverOptions(t_end=1e-3))
    torch.testing.assert_close(ours, x, atol=1e-4, rtol=0)
    free = sample(
        [Member("m", UNet2D(unet), noise, prediction)], np.ones(10, int), drawn(), space=space, noise=noise,
        options=SolverOptions(t_end=1e-3),
    )  # fmt: skip
    assert (ours - free).abs().max() > 1e-2


def test_it_does_where_there_is_only_noise(tmp_path):
    unet, steps = pipelines.loaded(pipelines.tiny_ddpm(tmp_path)).unet, 10
    scheduler = DDIMScheduler(
        prediction_type="v_prediction", clip_sample_range=0.3, rescale_betas_zero_snr=True, timestep_spacing="trailing"
    )
    scheduler.set_timesteps(steps)
    x = drawn()
    with torch.no_grad():
        for t in scheduler.timesteps:
            x = scheduler.step(unet(x, t).sample, t, x).prev_sample
    noise = make_noise({"kind": "linear", "zero_terminal_snr": True})
    member = Member("m", UNet2D(unet), noise, "v_prediction", 0.3, use_clipped_model_output=False)
    space = DDIMSpace.make(1, steps, timesteps="trailing")
    ours = sample([member], np.ones(steps, int), drawn(), space=space, noise=noise)
    torch.testing.assert_close(ours, x, atol=1e-4, rtol=0)


def test_what_is_clipped_off_the_noise_adds_up_to_what_was_predicted():
    noise, x = DiscreteVP.linear(), drawn()
    member = Member("m", UNet2D(None), noise, "v_prediction", 0.5, use_clipped_model_output=False)
    free = Member("m", UNet2D(None), noise, "v_prediction")
    output = 3 * drawn(1)
    torch.testing.assert_close(
        member.rest(output, x, 400) + member.reading(output, x, 400), free.reading(output, x, 400)
    )
    assert free.rest(output, x, 400) is None and not free.has_rest
    assert Member("m", UNet2D(None), noise, "epsilon", 0.5).rest(output, x, 400) is None


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_a_population_of_mixed_members_is_sampled_as_one_by_one(together, eta, tmp_path):
    unet, noise = pipelines.loaded(pipelines.tiny_ddpm(tmp_path)).unet, DiscreteVP.linear()
    clips = ((None, True), (0.5, True), (0.5, False))
    members = [Member("m", UNet2D(unet), noise, "epsilon", *clip) for clip in clips]
    space, options = DDIMSpace(3, 5), SolverOptions(eta=eta)
    X = [[3, 2, 3, 1, 3], [3, 1, 0, 1, 3], [2, 3, 3, 3, 0], [1, 0, 0, 0, 3], [1, 3, 3, 0, 3]]
    given = {"space": space, "noise": noise, "options": options}
    walked = dict(sample_population(members, X, drawn(), group_siblings=together, **given))
    for row, x in enumerate(X):
        torch.testing.assert_close(walked[row], sample(members, x, drawn(), **given), atol=1e-5, rtol=1e-5)
    other = sample([*members[:2], members[1]], X[0], drawn(), **given)
    assert (walked[0] - other).abs().max() > 1e-3
    # Around a member that is given something, it is the same.
    told = conditioned([Labeled(*clips[2], unet, noise)], [0, 1])
    alone = sample([members[2]], [1, 1, 1], drawn(), space=DDIMSpace(1, 3), noise=noise, options=options)
    assert torch.equal(sample(told, [1, 1, 1], drawn(), space=DDIMSpace(1, 3), noise=noise, options=options), alone)


class Labeled(Member):
    """A member that takes labels and does nothing with them."""

    num_classes = 2
    conditions = ("labels",)

    def __init__(self, clip, clipped_noise, unet, noise):
        super().__init__("m", UNet2D(unet), noise, "epsilon", clip, clipped_noise)

    def predict_parts(self, x, t, target="epsilon", labels=None, **conditions):
        assert labels.tolist() == [0, 1]
        return super().predict_parts(x, t, target)


def test_other_solvers_step_with_the_clipped_image(tmp_path):
    unet, noise = pipelines.loaded(pipelines.tiny_ddpm(tmp_path)).unet, DiscreteVP.linear()
    members = [Member("m", UNet2D(unet), noise, "epsilon", 0.5, said) for said in (True, False)]
    x, space = np.ones(6, int), MultistepSpace(1, 6)
    assert torch.equal(*(sample([member], x, drawn(), space=space, noise=noise) for member in members))


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_noise_and_image_of_a_clipped_prediction_agree(prediction):
    noise, x = DiscreteVP.linear(), drawn()
    member = Member("m", UNet2D(None), noise, prediction, 1.0)
    eps, image = (member.reading(3 * drawn(1), x, 400, target) for target in ("epsilon", "sample"))
    alpha, sigma = float(noise.alpha(noise.time(400))), float(noise.sigma(noise.time(400)))
    assert image.abs().max() == 1
    torch.testing.assert_close(alpha * image + sigma * eps, x)


@pytest.mark.parametrize(
    "scheduler, clip, clipped_noise",
    [
        (DDPMScheduler(), 1.0, True),
        (DDIMScheduler(clip_sample_range=2.5), 2.5, False),
        (DDIMScheduler(clip_sample=False), None, True),
        (DPMSolverMultistepScheduler(), None, True),
    ],
)
def test_an_added_member_clips_where_and_as_its_scheduler_does(scheduler, clip, clipped_noise, tmp_path):
    added = add_member(pipelines.tiny_ddpm(tmp_path / "p", scheduler=scheduler), tmp_path / "zoo")
    assert added.members[0].clip == clip == ZooFile.read(tmp_path / "zoo").members[0].clip
    member, text = ModelZoo.load(tmp_path / "zoo").members[0], (tmp_path / "zoo/zoo.toml").read_text()
    assert (member.clip, member.use_clipped_model_output) == (clip, clipped_noise)
    assert ("clip =" in text) == (clip is not None)
    assert ("use_clipped_model_output = false" in text) == (not clipped_noise)


def test_a_member_without_it_says_nothing_of_it():
    assert not {"clip", "use_clipped_model_output"} & UNet2DTable(folder="1").table().keys()


def test_the_noise_of_a_member_that_does_not_clip_is_refused(tiny_zoo, tmp_path):
    table = tomllib.loads((tiny_zoo / "zoo.toml").read_text())
    table["member"][0]["use_clipped_model_output"] = False
    (tmp_path / "zoo.toml").write_text(tomli_w.dumps(table))
    with pytest.raises(
        InputError, match=r"zoo.toml.*use_clipped_model_output = false is of members that clip: say clip"
    ):
        ZooFile.read(tmp_path)
