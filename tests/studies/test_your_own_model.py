"""The README's "Your own models", end to end: a model in, a schedule out, and back into its pipeline."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from omsdpm import ModelZoo
from omsdpm.pipelines import ScheduleFile, apply
from omsdpm.scoring.sampler import Sampler
from studies.cli import main

pytest.importorskip("transformers", minversion="5")  # whose tokenizers are made from a vocabulary
pytest.importorskip("diffusers", minversion="0.34")

pipelines = pytest.importorskip("tests.pipelines")


def omsdpm_bench(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


def searched(tmp_path, *more):
    """Profiles and searches the zoo; the winner's schedule as exported, and its budget."""
    omsdpm_bench("zoo", "profile", "zoo", "--batch-size", 2, "--repeats", 1)
    latency = ModelZoo.load("zoo").latency
    budget = f"{3.5 * max(latency):.1f}"
    omsdpm_bench(
        "search", "--zoo", "zoo", "--budget", budget, "--labels", 20, "--length", 5, "--evaluations", 100, "--top", 2,
        "--seeds", 2, "--output", "run", *more,
    )  # fmt: skip
    omsdpm_bench("export", "run", "--budget", budget, "--to", "json", "--output", "schedule.json")
    return json.loads((tmp_path / "run" / "result.json").read_text()), ScheduleFile.read("schedule.json")


def from_the_executor(file, start, **conditions):
    zoo = ModelZoo.load("zoo")
    sampler = Sampler(
        zoo, file.schedule_space, file.options.options, start=start,
        prompts=zoo.encode(["a cat"]) if zoo.takes_prompts else None,
    )  # fmt: skip
    ((_, _, images),) = sampler.batches(np.array([file.schedule]), len(start), 0)
    return images


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.txt").write_text("a cat\na dog\n")
    return tmp_path


def test_a_text_to_image_pipeline_with_guided_and_unguided_members(here):
    pipelines.tiny_sd(here / "sd")
    omsdpm_bench("zoo", "derive", "--from", "sd", "--zoo", "zoo", "--variant", "guidance[scale=7.5]",
                 "--variant", "guidance[scale=1]")  # fmt: skip
    result, file = searched(here, "--prompts", "prompts.txt", "--metric", "psnr[member=1]")
    assert result["settings"]["label_images"] == 2  # one a prompt
    assert set(file.schedule) <= {0, 1, 2} and result["problem" if "problem" in result else "benchmark"]["prompts"]
    pipe = pipelines.loaded("sd")
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    with apply(pipe, "schedule.json"):
        images = pipe("a cat", latents=start, output_type="pt").images
    torch.testing.assert_close(images * 2 - 1, from_the_executor(file, start).clamp(-1, 1), atol=1e-4, rtol=0)


def test_a_flow_matching_pair_with_a_boundary(here):
    pipelines.tiny_wan(here / "wan")
    omsdpm_bench("zoo", "add", "wan", "--zoo", "zoo", "--size", 4, 4, "--frames", 1)
    _, file = searched(here, "--prompts", "prompts.txt", "--metric", "psnr[member=1]")
    pipe = pipelines.loaded("wan")
    start = torch.randn(1, 16, 1, 4, 4, generator=torch.Generator().manual_seed(3))
    with apply(pipe, "schedule.json"):
        frames = pipe("a cat", latents=start, height=32, width=32, num_frames=1, guidance_scale=1.0,
                      output_type="pt").frames  # (n, F, C, H, W)  # fmt: skip
    ours = from_the_executor(file, start).transpose(1, 2).clamp(-1, 1)
    torch.testing.assert_close(frames * 2 - 1, ours, atol=1e-4, rtol=0)
    exported = omsdpm_bench("export", "2 2 1 1 1", "--zoo", "zoo", "--solver", "ddim", "--to", "wan")
    assert 0 < json.loads(exported.stdout)["boundary_ratio"] < 1


def test_a_ddpm_pipeline_folder(here):
    from omsdpm.images import load_digits_images

    for seed, name in enumerate(("small", "large")):
        pipelines.tiny_ddpm(here / name, seed=seed)
        omsdpm_bench("zoo", "add", name, "--zoo", "zoo")
    from studies.jobs.sample.job import write_images

    (here / "images").mkdir()
    write_images(here / "images", 0, torch.from_numpy(load_digits_images()[:40]))
    _, file = searched(here, "--metric", "kid[features=digits]", "--reference", "images", "--label-images", 20,
                       "--race-images", 20, "--validate-images", 20)  # fmt: skip
    pipe = pipelines.loaded("small")
    start = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    with apply(pipe, "schedule.json") as applied:
        applied.scheduler.set_timesteps()
        x = start
        for t in applied.scheduler.timesteps:
            x = applied.scheduler.step(pipe.unet(x, t).sample, t, x).prev_sample
    torch.testing.assert_close(x, from_the_executor(file, start), atol=1e-4, rtol=1e-4)
    words = ("--zoo", "zoo", "--solver", "ddim", "--to", "diffusers")
    table = json.loads(omsdpm_bench("export", "1 2 2 1", *words).stdout)
    assert (table["scheduler"], table["call"]) == ("DDIMScheduler", {"num_inference_steps": 4})
    assert table["config"]["clip_sample"] and table["step"] == {"use_clipped_model_output": True}
    uneven = CliRunner().invoke(main, ["export", "1 0 2 1", *words])
    assert uneven.exit_code == 2 and "does not clip images: slot 3 calls member 1, which clips at 1" in uneven.stderr


BENCHMARK = """
name = "guided"
summary = "Guided and unguided, against the guided member."
budgets = [1000]
strategies = []

[measurement]
zoo = "zoo"
solver = "ddim"
length = 4
metric = "psnr[member=1]"
images = 2
prompts = "prompts.txt"

[validation]
images = 2
seeds = [1001, 1002]

[[round]]
name = "train"
design = "random"
split = "train"
n = 12
null = 0.3

[[round]]
name = "test"
design = "random"
split = "test"
n = 4
null = 0.3
"""


def test_a_benchmark_of_prompts_is_estimated_built_and_run(here):
    pipelines.tiny_sd(here / "sd")
    omsdpm_bench("zoo", "derive", "--from", "sd", "--zoo", "zoo", "--variant", "guidance[scale=7.5]",
                 "--variant", "guidance[scale=1]")  # fmt: skip
    omsdpm_bench("zoo", "profile", "zoo", "--batch-size", 2, "--repeats", 1)
    (here / "benchmark.toml").write_text(BENCHMARK)
    omsdpm_bench("dataset", "estimate", here)
    omsdpm_bench("dataset", "build", here, "--jobs", 1)
    omsdpm_bench("run", "--benchmark", here, "--predictor", "ridge", "--evaluations", 50, "--top", 2, "--seeds", 2,
                 "--output", "run", "--leaderboard", "board.csv")  # fmt: skip
    (winner,) = json.loads((here / "run" / "result.json").read_text())["winners"]
    assert all(score >= -58.93 for score in winner["measured"]["scores"])
    (here / "prompts.txt").write_text("another\n")
    refused = CliRunner().invoke(main, ["dataset", "build", str(here), "--jobs", "1"])
    assert refused.exit_code == 2 and "was measured with other prompts" in refused.stderr
