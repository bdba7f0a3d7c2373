"""A package of plug-ins: one file and one line of entry point each, and everything runs through the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import Benchmark
from benchmarks.strategies.registry import make_strategy
from omsdpm import InputError, make_space
from omsdpm.dataset.recipe import Recipe
from omsdpm.networks.base import NETWORKS
from omsdpm.noise import DiscreteVP, make_noise
from omsdpm.zoo.files import write_latency_card
from predictors import make_predictor
from predictors.testing import predictor_checks
from studies import make_optimizer
from studies.testing import optimizer_checks

ZOO = """
[zoo]
name = "paler"
image_size = 8
channels = 1

[noise]
kind = "sigmoid"
beta_end = 0.03
"""

MEMBER = """
[[member]]
kind = "shrink"
factor = {factor}
prediction_type = "sample"
"""

BENCHMARK = """
name = "example"
summary = "Everything is a plug-in."
budgets = [4, 8]
strategies = ["ramp"]

[measurement]
zoo = "zoo"
solver = "plms"
length = 5
images = 12
seed = 3
metric = "fd-digits"

[validation]
images = 10
seeds = [11, 12]

[[round]]
name = "drawn"
design = "random"
n = 40
null = 0.5
split = "train"

[[round]]
name = "held-out"
design = "random"
n = 10
null = 0.5
split = "test"
"""

FACTORS = (0.2, 0.5, 0.8)
LATENCY = [1.0, 2.0, 4.0]


def write(folder: Path, text: str = BENCHMARK) -> Path:
    """The benchmark's folder with its zoo, nothing measured yet."""
    zoo = folder / "zoo"
    zoo.mkdir(parents=True)
    (zoo / "zoo.toml").write_text(ZOO + "".join(MEMBER.format(factor=factor) for factor in FACTORS))
    write_latency_card(zoo, {"ms": LATENCY, "batch_size": 8, "device": "test", "date": "2026-01-01"})
    (folder / "benchmark.toml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory, bench, installed) -> Path:
    """The folder, measured by ``dataset build``."""
    folder = write(tmp_path_factory.mktemp("example") / "example")
    outcome = bench("dataset", "build", str(folder), path=installed)
    assert outcome.returncode == 0, outcome.stderr
    return folder


RUN = ("--optimizer", "descent[batch=8]", "--predictor", "calls[neighbors=5]", "--evaluations", "60", "--seeds", "2")


@pytest.fixture(scope="module")
def result(built, bench, installed) -> dict:
    """What ``run`` wrote, with the plug-ins for everything."""
    output = built.parent / "run"
    args = ("--benchmark", str(built), *RUN, "--output", str(output), "--leaderboard", str(built.parent / "board.csv"))
    outcome = bench("run", *args, path=installed)
    assert outcome.returncode == 0, outcome.stderr
    assert " ramp " in outcome.stdout  # a row of the table
    return json.loads((output / "result.json").read_text())


def test_the_run_used_the_solver(result):
    assert result["benchmark"]["solver"] == "plms"


def test_the_run_used_the_predictor_and_the_optimizer(result, built):
    assert (result["search"]["optimizer"], result["predictor"]["name"]) == ("descent[batch=8]", "calls[neighbors=5]")
    assert 0 < result["search"]["evaluations"] <= 2 * 60
    row = (built.parent / "board.csv").read_text()
    assert "descent" in row and "calls" in row


def test_the_run_compared_with_the_strategy(example, built, result):
    proposed = [baseline for baseline in Benchmark.read(built).baselines if baseline.kind == "ramp"]
    assert [baseline.name for baseline in proposed] == ["all members in turn, 1 step", "all members in turn, 3 steps"]
    assert [baseline.schedule.tolist() for baseline in proposed] == [[0, 0, 0, 0, 3], [3, 0, 2, 0, 1]]
    best = min(proposed, key=lambda baseline: baseline.mean)
    assert result["winners"][1]["kinds"]["ramp"]["name"] == best.name
    for winner in result["winners"]:
        assert set(winner["kinds"]) == {"ramp", "single", "stitch"}
        assert np.isfinite(winner["kinds"]["ramp"]["scores"]).all()


def plms(x, schedule, alpha, sigma, timesteps):
    """The plug-ins' sampling written out: solver, noise schedule and networks in one loop."""
    slots = [slot for slot in range(len(schedule) - 1, -1, -1) if schedule[slot]]
    before = None
    for slot, following in zip(slots, [*slots[1:], None], strict=True):
        a, s = alpha[timesteps[slot]], sigma[timesteps[slot]]
        next_a, next_s = (1.0, 0.0) if following is None else (alpha[timesteps[following]], sigma[timesteps[following]])
        eps = (x - a * FACTORS[schedule[slot] - 1] * x.clamp(-1, 1)) / s
        guess = eps if before is None else 1.5 * eps - 0.5 * before
        x, before = next_a * (x - s * guess) / a + next_s * guess, eps
    return x


def test_the_images_are_what_the_plug_ins_say(example, built):
    benchmark = Benchmark.read(built)
    betas = 1e-4 + (0.03 - 1e-4) / (1 + np.exp(-np.linspace(-6, 6, 1000)))
    alpha_bar = np.cumprod(1 - betas)
    meter = benchmark.measurement.open()
    X = np.array([[3, 0, 2, 1, 1], [0, 0, 0, 3, 0]])
    x_T = meter.zoo.starting_noise(12, 3)
    for row, x_0 in meter.sample(X):
        expected = plms(x_T.double(), X[row], np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar), np.arange(5) * 200)
        torch.testing.assert_close(x_0.double(), expected, rtol=1e-4, atol=1e-4)


def test_the_winners_scores_can_be_measured_again(example, built, result):
    benchmark = Benchmark.read(built)
    winners = result["winners"]
    images, seeds = result["validation"]["images"], result["validation"]["seeds"]
    again = benchmark.validate([winner["schedule"] for winner in winners], images=images, seeds=seeds)
    np.testing.assert_allclose(again.scores, [winner["measured"]["scores"] for winner in winners], rtol=1e-4)


def test_our_own_predictors_know_the_plug_ins_solver_and_noise(example, built):
    benchmark = Benchmark.read(built)
    train, test = benchmark.dataset.subset("train"), benchmark.dataset.subset("test")
    for name in ("gp", "gbdt[trees=20,threads=1]", "ridge", "lstm[updates=10]"):
        assert np.isfinite(benchmark.predictor(name).fit(train.X, train.y).predict(test.X)).all()


def test_conformance_of_the_predictor(example):
    for _, check in predictor_checks(partial(make_predictor, "calls")):
        check()


def test_conformance_of_the_optimizer(example):
    for _, check in optimizer_checks(partial(make_optimizer, "descent")):
        check()


def test_the_noise_schedule_is_that_of_diffusers(example):
    from diffusers import DDPMScheduler

    noise = make_noise({"kind": "sigmoid", "beta_end": 0.03})
    theirs = DDPMScheduler(beta_schedule="sigmoid", beta_start=1e-4, beta_end=0.03)
    assert noise == make_noise(noise.table())
    np.testing.assert_allclose(noise.alpha_bar(np.arange(1000)), theirs.alphas_cumprod.double(), rtol=1e-4)


def test_list_shows_them_without_importing_them(bench, installed, tmp_path):
    listed = bench("list", path=installed)
    assert listed.returncode == 0, listed.stderr
    parts = {part.splitlines()[0]: part.splitlines()[1:] for part in listed.stdout.split("\n\n")}
    kinds = ["benchmarks", "predictors", "optimizers", "strategies", "solvers", "noise schedules", "networks"]
    kinds += ["transformers", "pipelines whose prompts are read", "variants"]
    assert list(parts) == [*kinds, "metrics", "features", "exports"]
    for title, name, summary in (
        (
            "predictors",
            "calls",
            "Nearest neighbors by how often each member, or a larger one, is called up to each slot.",
        ),
        ("optimizers", "descent", "Local search from the best schedules so far."),
        (
            "strategies",
            "ramp",
            "All members in turn, the fastest at the noise end, each for an even share of the steps.",
        ),
        ("solvers", "plms", "PLMS: DDIM with the noise extrapolated from two evaluations, one step a slot."),
        ("noise schedules", "sigmoid", "Betas that rise along a sigmoid from ``beta_start`` to ``beta_end``."),
        ("networks", "shrink", "The noisy image times ``factor`` as the prediction of the image."),
        ("metrics", "brightness", "How far the images' mean is from ``target``."),
        ("features", "quadrants", "Means of an image's four quadrants."),
        ("variants", "quiet", "The model's output times ``factor``."),
        (
            "transformers",
            "AuraFlowTransformer2DModel",
            "Takes hidden states of the text, and timesteps from 0 to 1.",
        ),
        ("pipelines whose prompts are read", "AuraFlowPipeline", "``encoder_hidden_states (P, T, D)``."),
    ):
        assert [line.split(None, 1)[1] for line in parts[title] if line.split()[0] == name] == [summary], title
    # What is around the modules is imported to find them, the modules are not.
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, sys\n"
        "atexit.register(lambda: print([m for m in sys.modules if m.startswith('example_plugin.')], file=sys.stderr))\n"
    )
    assert bench("list", path=[tmp_path, *installed]).stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_space("plms", 2, 4), "unknown solver 'plms'"),
        (lambda: make_noise({"kind": "sigmoid"}), "unknown noise schedule 'sigmoid'"),
        (lambda: NETWORKS.load("shrink"), "unknown network 'shrink'"),
        (lambda: make_predictor("calls", space=make_space("ddim", 2, 4)), "unknown predictor 'calls'"),
        (lambda: make_optimizer("descent"), "unknown optimizer 'descent'"),
        (lambda: make_strategy("ramp"), "unknown strategy 'ramp'"),
    ],
)
def test_nothing_of_it_is_known_where_it_is_not_installed(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_run_where_it_is_not_installed_says_so(built, bench):
    outcome = bench("run", "--benchmark", str(built), "--output", str(built.parent / "nowhere"))
    assert outcome.returncode == 2
    (line,) = outcome.stderr.splitlines()[-1:]
    assert "unknown" in line and ("'plms'" in line or "'sigmoid'" in line)
    assert not (built.parent / "nowhere").exists()


def test_two_parameters_of_the_noise_are_another_noise(example):
    assert make_noise({"kind": "sigmoid"}) != make_noise({"kind": "sigmoid", "beta_end": 0.03})
    assert isinstance(make_noise({"kind": "sigmoid"}), DiscreteVP)
    with pytest.raises(InputError, match="'sigmoid': unknown key 'beta_ned'; choose one of: beta_end"):
        make_noise({"kind": "sigmoid", "beta_ned": 0.03})


def test_the_run_used_the_metric(example, tmp_path, bench, installed):
    folder = write(tmp_path / "b", BENCHMARK.replace('"fd-digits"', '"brightness[target=0.25]"'))
    output = tmp_path / "run"
    places = ("--output", str(output), "--leaderboard", str(tmp_path / "board.csv"))
    for args in (("dataset", "build", str(folder)), ("run", "--benchmark", str(folder), *RUN, *places)):
        outcome = bench(*args, path=installed)
        assert outcome.returncode == 0, outcome.stderr
    assert Recipe.read(folder).measurement.metric == "brightness[target=0.25]"
    result = json.loads((output / "result.json").read_text())
    assert all(np.isfinite(winner["measured"]["scores"]).all() for winner in result["winners"])


def test_the_run_used_the_features(tmp_path, bench, installed):
    folder = write(tmp_path / "b", BENCHMARK.replace('"fd-digits"', '"fd[features=quadrants]"'))
    output = tmp_path / "run"
    places = ("--output", str(output), "--leaderboard", str(tmp_path / "board.csv"))
    for args in (("dataset", "build", str(folder)), ("run", "--benchmark", str(folder), *RUN, *places)):
        outcome = bench(*args, path=installed)
        assert outcome.returncode == 0, outcome.stderr
    result = json.loads((output / "result.json").read_text())
    assert all(np.isfinite(winner["measured"]["scores"]).all() for winner in result["winners"])


def test_a_transformer_of_another_class_its_prompts_and_a_variant(tmp_path, bench, installed):
    from diffusers import AuraFlowTransformer2DModel

    torch.manual_seed(0)
    model = AuraFlowTransformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_mmdit_layers=1, num_single_dit_layers=1,
        attention_head_dim=8, num_attention_heads=2, joint_attention_dim=16, caption_projection_dim=16,
        pos_embed_max_size=64,
    ).eval()  # fmt: skip
    model.save_pretrained(tmp_path / "model")
    script = tmp_path / "script.py"
    script.write_text(
        """
import sys
import torch
from omsdpm import ModelZoo
from omsdpm.prompts import encode_prompts
from omsdpm.zoo.adding import derive_members

class AuraFlowPipeline:
    def encode_prompt(self, prompts, negative):
        torch.manual_seed(len(prompts[0]))
        return torch.randn(len(prompts), 5, 16), None, torch.zeros(len(prompts), 5, 16), None

folder = sys.argv[1]
added = derive_members(folder + "/model", folder + "/zoo", ["as-is", "quiet[factor=0.25]"])
assert [member.kind for member in added.members] == ["transformer"] * 2
zoo = ModelZoo.load(folder + "/zoo")
prompts = encode_prompts(AuraFlowPipeline(), ["a cat", "a dog"], None, (8, 8))
x, t = torch.randn(2, 4, 8, 8), torch.full((2,), 500.0)
whole, quiet = (member.network(x, t, prompts=prompts) for member in zoo.members)
own = zoo.members[0].network.module(x, prompts.given["encoder_hidden_states"], t / 1000, return_dict=False)[0]
assert torch.equal(whole, own)
torch.testing.assert_close(quiet, 0.25 * whole)
print("as the plug-ins say")
""",
        encoding="utf-8",
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(map(str, installed))}
    outcome = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert outcome.stdout.strip() == "as the plug-ins say", outcome.stderr
