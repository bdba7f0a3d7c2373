"""Members from pipelines and models that diffusers has saved."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from omsdpm.errors import InputError
from omsdpm.sampling import sample_population
from omsdpm.solvers import DDIMSpace
from omsdpm.zoo import ModelZoo
from omsdpm.zoo.adding import add_member
from omsdpm.zoo.files import ZooFile
from studies.cli import main


def unet(seed=0, **arguments):
    from diffusers import UNet2DModel

    torch.manual_seed(seed)
    usual = dict(
        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8, 8), norm_num_groups=4, layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    return UNet2DModel(**usual | arguments).eval()


def scheduler(**config):
    from diffusers import DDPMScheduler

    return DDPMScheduler(**{"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"} | config)


def pipeline(folder, seed=0, arguments=None, **config):
    from diffusers import DDPMPipeline

    DDPMPipeline(unet(seed, **arguments or {}), scheduler(**config)).save_pretrained(folder)
    return folder


def zoo_of(*arguments):
    return CliRunner().invoke(main, ["zoo", "add", *map(str, arguments)])


def test_a_pipeline_becomes_a_zoo_and_another_its_second_member(tmp_path):
    first, second = pipeline(tmp_path / "small"), pipeline(tmp_path / "large", 1, {"block_out_channels": (8, 16)})
    made = zoo_of(first, "--zoo", tmp_path / "zoo")
    assert made.exit_code == 0, made.output
    assert "member 1: " in made.stdout and "predicts v_prediction" in made.stdout and "usual" not in made.stdout
    assert "1 members for images of 1x8x8, noise cosine" in made.stdout
    added = zoo_of(second, "--zoo", tmp_path / "zoo")
    assert added.exit_code == 0 and "member 2: " in added.stdout and "2 members" in added.stdout
    zoo = ModelZoo.load(tmp_path / "zoo")
    assert len(zoo.members) == 2 and zoo.shape == (1, 8, 8) and zoo.name == "zoo"
    assert [member.prediction_type for member in ZooFile.read(tmp_path / "zoo").members] == ["v_prediction"] * 2


def test_its_images_are_the_pipelines(tmp_path):
    """A single-member schedule on DDIM's own timesteps, from the same noise."""
    from diffusers import DDIMScheduler

    steps = 10
    folder = pipeline(tmp_path / "p", beta_schedule="linear", prediction_type="epsilon", clip_sample=False)
    add_member(folder, tmp_path / "zoo")
    zoo = ModelZoo.load(tmp_path / "zoo")
    x_T = torch.randn((3, 1, 8, 8), generator=torch.Generator().manual_seed(5))
    config = json.loads((folder / "scheduler/scheduler_config.json").read_text())
    theirs = DDIMScheduler.from_config(config, timestep_spacing="trailing", clip_sample=False, set_alpha_to_one=True)
    theirs.set_timesteps(steps)
    x, network = x_T, unet()
    with torch.no_grad():
        for t in theirs.timesteps:
            x = theirs.step(network(x, t).sample, t, x).prev_sample
    space = DDIMSpace(1, steps, grid=tuple(float(t) for t in theirs.timesteps))
    ((_, ours),) = sample_population(
        zoo.denoisers, np.ones((1, steps), dtype=np.int64), x_T, space=space, noise=space.solver_noise(zoo.noise)
    )
    assert torch.allclose(ours, x, atol=1e-4, rtol=1e-4)


def test_a_model_alone_takes_the_usual_noise_and_then_the_zoos(tmp_path):
    unet().save_pretrained(tmp_path / "a")
    made = zoo_of(tmp_path / "a", "--zoo", tmp_path / "zoo")
    assert made.exit_code == 0 and "noise linear, the usual one, as no scheduler says another" in made.stdout
    pipeline(tmp_path / "p")
    add_member(tmp_path / "p", tmp_path / "other")
    unet(1).save_pretrained(tmp_path / "b")
    assert add_member(tmp_path / "b", tmp_path / "other").members[0].prediction_type == "v_prediction"


def test_members_in_the_zoos_folder_move_with_it(tmp_path):
    unet().save_pretrained(tmp_path / "zoo" / "a")
    add_member(tmp_path / "zoo" / "a", tmp_path / "zoo")
    (tmp_path / "zoo").rename(tmp_path / "moved")
    assert ZooFile.read(tmp_path / "moved").members[0].folder == "a"
    assert len(ModelZoo.load(tmp_path / "moved").members) == 1


def test_a_variant_is_kept(tmp_path):
    unet().half().save_pretrained(tmp_path / "a", variant="fp16")
    assert zoo_of(tmp_path / "a", "--zoo", tmp_path / "zoo", "--variant", "fp16").exit_code == 0
    assert ZooFile.read(tmp_path / "zoo").members[0].variant == "fp16"


def config_of(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_bad_input_is_one_line_and_changes_nothing(tmp_path):
    pipeline(tmp_path / "p")
    add_member(tmp_path / "p", tmp_path / "zoo")
    before = (tmp_path / "zoo/zoo.toml").read_bytes()
    (tmp_path / "empty").mkdir()
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow/model_index.json").write_text("{}")
    pipeline(tmp_path / "linear", 1, beta_schedule="linear")
    pipeline(tmp_path / "strange", 1)
    (tmp_path / "strange/scheduler/scheduler_config.json").write_text('{"_class_name": "DreamScheduler"}')
    unet(in_channels=3, out_channels=3).save_pretrained(tmp_path / "rgb")
    unet(sample_size=16).save_pretrained(tmp_path / "large")
    unet().save_pretrained(tmp_path / "flux")
    config_of(tmp_path / "flux", _class_name="LuminaNextDiT2DModel")
    unet().save_pretrained(tmp_path / "torn")
    weights = tmp_path / "torn/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    for source, message in {
        "google/ddpm": "is no folder: expected the folder of a diffusers pipeline",
        "empty": "is no model: expected the folder",
        "hollow": "has neither of the folders unet and transformer",
        "linear": r"was trained on the noise {'kind': 'linear'.*member 1 \(.*p/unet\) on {'kind': 'cosine'",
        "strange": "unknown scheduler 'DreamScheduler'",
        "rgb": r"takes 3 channels, member 1 \(.*p/unet\) takes 1",
        "large": r"takes \(channels, size\) \(1, 16\), zoo.toml says \(1, 8\)",
        "flux": r"is a `LuminaNextDiT2DModel`, which no kind of network takes; .*, unet2d \(UNet2DModel\)",
        "torn": "is truncated or not this network's weights",
    }.items():
        outcome = zoo_of(tmp_path / source, "--zoo", tmp_path / "zoo")
        assert outcome.exit_code == 2, source
        (line,) = outcome.stderr.splitlines()
        with pytest.raises(InputError, match=message):
            raise InputError(line)
        assert (tmp_path / "zoo/zoo.toml").read_bytes() == before
    again = zoo_of(tmp_path / "p", "--zoo", tmp_path / "zoo")  # as after a kill
    assert again.exit_code == 0 and ", as it was" in again.stdout
    assert (tmp_path / "zoo/zoo.toml").read_bytes() == before
    for source in ("empty", "torn", "flux"):
        assert zoo_of(tmp_path / source, "--zoo", tmp_path / "new").exit_code == 2
        assert not (tmp_path / "new").exists()


def test_a_new_zoo_needs_a_size(tmp_path):
    unet(sample_size=None).save_pretrained(tmp_path / "a")
    with pytest.raises(InputError, match=r"says sample_size = None: give the size of what a new zoo denoises"):
        add_member(tmp_path / "a", tmp_path / "zoo")
    unet().save_pretrained(tmp_path / "b")
    add_member(tmp_path / "b", tmp_path / "zoo")
    assert add_member(tmp_path / "a", tmp_path / "zoo").numbers == (2,)
