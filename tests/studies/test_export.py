"""``omsdpm-bench export``: what targets get, read back by the library where there is one."""

from __future__ import annotations

import json
import shutil

import diffusers
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from omsdpm import ModelZoo
from omsdpm.sampling import sample
from omsdpm.solvers import space_on
from omsdpm.zoo import ZooFile
from studies.cli import main
from studies.jobs.run.result import FORMAT


def export(zoo, schedule, to, *more):
    return CliRunner().invoke(main, ["export", schedule, "--to", to, "--zoo", str(zoo), *map(str, more)])


@pytest.fixture
def flow_zoo(tmp_path):
    images = {"name": "flow", "image_size": 8, "channels": 1}
    members = (
        {"folder": "a", "prediction_type": "flow_prediction"},
        {"folder": "b", "prediction_type": "flow_prediction"},
    )
    ZooFile(zoo=images, noise={"kind": "flow", "shift": 3.0}, member=tuple(members)).write(tmp_path)
    return tmp_path


def test_json_has_all_numbers(tiny_zoo):
    outcome = export(tiny_zoo, "3 0 3 2 0", "json", "--solver", "dpm-solver++")
    assert outcome.exit_code == 0, outcome.output
    table = json.loads(outcome.stdout)
    assert table["timesteps"] == [600, 400, 0]
    betas = np.linspace(1e-4, 0.02, 1000)
    bar = np.cumprod(1 - betas)[[600, 400, 0]]
    assert table["sigmas"] == pytest.approx([*np.sqrt((1 - bar) / bar), 0.0], rel=1e-9)
    assert [(e["slot"], e["member"], e["order"]) for e in table["evaluations"]] == [(3, 2, 1), (2, 3, 2), (0, 3, 1)]


@pytest.mark.parametrize(
    "solver, schedule, scheduler",
    [
        ("ddim", "2 2 2 2 2", "DDIMScheduler"),
        ("ddim", "2 0 2 2 0 0 0 2", "DPMSolverMultistepScheduler"),
        ("dpm-solver++", "2 0 2 2 0 0 0 2", "DPMSolverMultistepScheduler"),
    ],
)
def test_diffusers_samples_the_same_images(tiny_zoo, solver, schedule, scheduler):
    outcome = export(tiny_zoo, schedule, "diffusers", "--solver", solver)
    assert outcome.exit_code == 0, outcome.output
    table = json.loads(outcome.stdout)
    assert table["scheduler"] == scheduler
    zoo, x = ModelZoo.load(tiny_zoo), [int(member) for member in schedule.split()]
    x_T = zoo.starting_noise(2, seed=0)
    ours = sample(zoo.denoisers, x, x_T, space=space_on(zoo.noise, solver, 3, len(x)), noise=zoo.noise)
    theirs, stepper = x_T, getattr(diffusers, scheduler)(**table["config"])
    stepper.set_timesteps(**table["call"])
    with torch.no_grad():
        for t, call in zip(stepper.timesteps, table["members"], strict=True):
            theirs = stepper.step(zoo.members[call["member"] - 1](theirs, float(t)), t, theirs).prev_sample
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-5)  # untrained networks give pixels up to 100


@pytest.fixture
def clipping_zoo(tiny_zoo, tmp_path):
    """Members that clip: 1 and 2 keep the noise that they predict, 3 has that of the clipped image."""
    file = ZooFile.read(tiny_zoo)
    said = [{"use_clipped_model_output": False}, {"use_clipped_model_output": False}, {}]
    members = [{**member.table(), "clip": 0.8, **more} for member, more in zip(file.members, said, strict=True)]
    shutil.copytree(tiny_zoo, tmp_path / "clipping")
    ZooFile(zoo=file.zoo, noise=file.noise, member=tuple(members)).write(tmp_path / "clipping")
    return tmp_path / "clipping"


@pytest.mark.parametrize("schedule", ["2 1 2 2 1", "3 3 3 3 3"])
def test_diffusers_clips_as_the_members_do(clipping_zoo, schedule):
    outcome = export(clipping_zoo, schedule, "diffusers", "--solver", "ddim")
    assert outcome.exit_code == 0, outcome.output
    table = json.loads(outcome.stdout)
    assert table.get("step", {}) == ({"use_clipped_model_output": True} if "3" in schedule else {})
    zoo, x = ModelZoo.load(clipping_zoo), [int(member) for member in schedule.split()]
    x_T = zoo.starting_noise(2, seed=0)
    ours = sample(zoo.denoisers, x, x_T, space=space_on(zoo.noise, "ddim", 3, len(x)), noise=zoo.noise)
    theirs, stepper = x_T, getattr(diffusers, table["scheduler"])(**table["config"])
    stepper.set_timesteps(**table["call"])
    with torch.no_grad():
        for t, call in zip(stepper.timesteps, table["members"], strict=True):
            output = zoo.members[call["member"] - 1].network(theirs, t.float().expand(2))
            theirs = stepper.step(output, t, theirs, **table.get("step", {})).prev_sample
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-5)
    said = json.loads(export(clipping_zoo, schedule, "json", "--solver", "ddim").stdout)["zoo"]["members"]
    assert [(e["clip"], e["use_clipped_model_output"]) for e in said] == [(0.8, False), (0.8, False), (0.8, True)]


@pytest.mark.parametrize(
    "schedule, to, solver, message",
    [
        ("3 3 1 1 1", "diffusers", "ddim", "slot 1 calls member 3, which clips otherwise than the one before"),
        ("1 0 0 1", "diffusers", "ddim", "for ddim on these slots does not clip images: slot 3 calls member 1, which"),
        ("1 1 1 1", "diffusers", "dpm-solver++", "does not clip images: slot 3 calls member 1, which clips at 0.8"),
        ("1 1 1 2", "comfyui", "ddim", "comfyui does not clip images: slot 3 calls member 2"),
        ("1 1 1 2", "sdxl", "ddim", "sdxl does not clip images: slot 3 calls member 2"),
    ],
)
def test_clipping_that_a_target_cannot_express_is_one_line(clipping_zoo, schedule, to, solver, message):
    outcome = export(clipping_zoo, schedule, to, "--solver", solver)
    assert outcome.exit_code == 2 and message in outcome.stderr


def ending(tmp_path, zoo, t_end, schedule="2 2 2 2 2", solver="ddim"):
    """A result of a search that ended at a last time."""
    noise = ZooFile.read(zoo).noise.table()
    winner = {"budget_ms": 9.0, "schedule": [int(member) for member in schedule.split()]}
    problem = {"solver": solver, "t_end": t_end, "noise": noise}
    table = {"kind": "run", "format": FORMAT, "benchmark": problem, "winners": [winner], "populations": [[]]}
    (tmp_path / "ended").mkdir()
    (tmp_path / "ended/result.json").write_text(json.dumps(table))
    return str(tmp_path / "ended")


@pytest.mark.parametrize(
    "schedule, scheduler", [("2 2 2 2 2", "DDIMScheduler"), ("2 0 2 2 0", "DPMSolverMultistepScheduler")]
)
def test_diffusers_ends_where_the_schedule_does(tiny_zoo, tmp_path, schedule, scheduler):
    outcome = export(
        tiny_zoo, ending(tmp_path, tiny_zoo, 1e-3, schedule), "diffusers", "--timesteps", "leading[offset=1]"
    )
    assert outcome.exit_code == 0, outcome.output
    table = json.loads(outcome.stdout)
    assert table["scheduler"] == scheduler
    zoo, x = ModelZoo.load(tiny_zoo), [int(member) for member in schedule.split()]
    x_T = zoo.starting_noise(2, seed=0)
    space = space_on(zoo.noise, "ddim", 3, len(x), "leading[offset=1]")
    ours = sample(zoo.denoisers, x, x_T, space=space, noise=zoo.noise, t_end=1e-3)
    theirs, stepper = x_T, getattr(diffusers, scheduler)(**table["config"])
    stepper.set_timesteps(**table["call"])
    with torch.no_grad():
        for t, call in zip(stepper.timesteps, table["members"], strict=True):
            theirs = stepper.step(zoo.members[call["member"] - 1](theirs, float(t)), t, theirs).prev_sample
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    "to, t_end, message",
    [
        ("diffusers", 2e-3, "diffusers ends in the image or at the first timestep, t_end = 0.001: after slot 0"),
        ("sdxl", 1e-3, "sdxl ends in the image: after slot 0 this schedule ends at t_end = 0.001"),
    ],
)
def test_an_end_that_a_target_cannot_express_is_one_line(tiny_zoo, tmp_path, to, t_end, message):
    outcome = export(tiny_zoo, ending(tmp_path, tiny_zoo, t_end, "1 1 1 2"), to, "--timesteps", "leading[offset=5]")
    assert outcome.exit_code == 2 and message in outcome.stderr, outcome.output


def test_the_last_sigma_is_that_of_the_last_time(tiny_zoo, tmp_path):
    table = json.loads(
        export(tiny_zoo, ending(tmp_path, tiny_zoo, 1e-3), "json", "--timesteps", "leading[offset=1]").stdout
    )
    assert (
        table["sigmas"][-1] == pytest.approx((1e-4 / (1 - 1e-4)) ** 0.5, rel=1e-9) and table["options"]["t_end"] == 1e-3
    )


def test_flow_sigmas_are_shifted_once(flow_zoo):
    table = json.loads(export(flow_zoo, "1 0 1 1", "diffusers", "--solver", "ddim").stdout)
    stepper = getattr(diffusers, table["scheduler"])(**table["config"])
    stepper.set_timesteps(**table["call"])
    t = np.array([1.0, 0.75, 0.25])
    assert stepper.sigmas.tolist() == pytest.approx([*(3 * t / (1 + 2 * t)), 0.0], abs=1e-6)


def test_wan_and_sdxl_switch_where_the_schedule_does(flow_zoo, tiny_zoo):
    table = json.loads(export(flow_zoo, "2 2 1 1", "wan", "--solver", "ddim").stdout)
    high = [1000 * sigma >= table["boundary_ratio"] * 1000 for sigma in table["sigmas"]]
    assert high == [True, True, False, False] and (table["transformer"], table["transformer_2"]) == ("a", "b")
    table = json.loads(export(tiny_zoo, "2 2 1 1", "sdxl", "--solver", "ddim").stdout)
    cutoff = round(1000 - table["denoising_end"] * 1000)  # as diffusers has it
    assert [t >= cutoff for t in table["timesteps"]] == [True, True, False, False]


def test_comfyui_splits_where_the_member_changes(tiny_zoo):
    nodes = json.loads(export(tiny_zoo, "3 2 2 1 0", "comfyui", "--solver", "ddim").stdout)
    parts = [node["inputs"] for node in nodes.values() if node["class_type"] == "SamplerCustom"]
    assert [part["model"][0] for part in parts] == ["member 1", "member 2", "member 3"]
    assert [part["add_noise"] for part in parts] == [True, False, False]
    steps = [node["inputs"]["step"] for node in nodes.values() if node["class_type"] == "SplitSigmas"]
    sigmas = [float(sigma) for sigma in nodes["sigmas"]["inputs"]["sigmas"].split(", ")]
    assert steps == [1, 2] and len(sigmas) == 5 and sigmas[-1] == 0 and sigmas == sorted(sigmas, reverse=True)


@pytest.mark.parametrize(
    "schedule, to, solver, message",
    [
        ("1 2 1 0", "sdxl", "ddim", "takes one switch of members: slot 0 switches again, to 1"),
        ("1 1 1 0", "sdxl", "ddim", "calls member 1 alone"),
        ("1 2 2 0", "wan", "ddim", "wan samples flow matching"),
        ("1 2 2 0", "comfyui", "dpm-solver++", "dpmpp_2m starts anew at slot 0"),
        ("1 1 1 0", "comfyui", "unipc", "no sampler that steps as unipc, from slot 2"),
        ("1 0 2 0 0 1", "diffusers", "unipc", "UniPCMultistepScheduler cannot step at timestep 830 of slot 5"),
        ("1 0 0", "diffusers", "dpm-solver", "diffusers has no scheduler that steps as dpm-solver"),
    ],
)
def test_what_a_target_cannot_express_is_one_line(tiny_zoo, schedule, to, solver, message):
    outcome = export(tiny_zoo, schedule, to, "--solver", solver)
    assert outcome.exit_code == 2, outcome.output
    (line,) = outcome.stderr.splitlines()
    assert message in line


def test_nothing_is_overwritten(tiny_zoo, tmp_path):
    path = tmp_path / "a.json"
    assert export(tiny_zoo, "1 1", "json", "--output", path).exit_code == 0
    before = path.read_bytes()
    outcome = export(tiny_zoo, "2 2", "json", "--output", path)
    assert outcome.exit_code == 2 and "exists, and is another schedule or target" in outcome.stderr
    assert path.read_bytes() == before


def test_slots_lie_on_a_named_grid(tiny_zoo):
    table = json.loads(
        export(tiny_zoo, "1 0 2 1", "json", "--solver", "ddim", "--timesteps", "leading[offset=1]").stdout
    )
    assert table["timesteps"] == [751, 501, 1] and table["space"]["timesteps"] == [751, 501, 251, 1]
    outcome = export(tiny_zoo, "1 0 2 1", "json", "--solver", "ddim", "--timesteps", "sideways")
    assert outcome.exit_code == 2 and "unknown grid of timesteps 'sideways'" in outcome.stderr


@pytest.fixture
def guided_zoo(tmp_path):
    images = {"name": "pair", "image_size": 8, "channels": 4}
    member = {"kind": "unet2d-condition", "folder": "unet"}
    members = ({**member, "guidance": 7.5}, {**member, "guidance": 1.0}, {**member, "guidance": 3.0},
               {**member, "folder": "other", "guidance": 1.0}, member)  # fmt: skip
    ZooFile(zoo=images, noise={"kind": "scaled-linear"}, member=members).write(tmp_path)
    return tmp_path


@pytest.mark.parametrize("schedule", ["2 2 2 1 1 1 1 2 2 2", "1 1 1", "2 2 2", "2 1 1 1", "2 2 2 2 2 2 1", "1 2 2 0 2"])
def test_a_guided_interval_is_what_the_guider_does(guided_zoo, schedule):
    from diffusers.guiders import ClassifierFreeGuidance

    result = export(guided_zoo, schedule, "guider", "--solver", "ddim")
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout)
    calls = [int(slot) for slot in schedule.split()[::-1] if slot != "0"]
    guider = ClassifierFreeGuidance(table["guidance_scale"], start=table["start"], stop=table["stop"])
    assert table["num_inference_steps"] == len(calls) == len(table["timesteps"])
    on = []
    for step, timestep in enumerate(table["timesteps"]):
        guider.set_state(step, len(calls), torch.tensor(timestep))
        on.append(guider._is_cfg_enabled())
    assert on == [call == 1 for call in calls]
    assert table["guidance_scale"] == (7.5 if any(on) else 1.0)


@pytest.mark.parametrize(
    ("schedule", "message"),
    {
        "1 2 1": "guider is on in one interval: slot 1 is unguided",
        "1 3": "guider has one scale: slot 0 is guided by 7.5, others 3",
        "1 4": "slot 1 calls member 4, which differs from member 1 in more than its guidance",
        "1 5": "member 5 says no guidance of its own",
    }.items(),
)
def test_what_a_guider_cannot_do_is_refused(guided_zoo, schedule, message):
    result = export(guided_zoo, schedule, "guider", "--solver", "ddim")
    assert result.exit_code == 2 and message in result.stderr
