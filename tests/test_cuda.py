"""The command that runs what needs a GPU, as far as a CPU can."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from omsdpm import ModelZoo
from omsdpm.solvers import compile_plan, space_on
from tests.cuda import ZOO, Speed, bare, main, pipeline, table


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_one_line(capsys):
    assert main([]) == 0
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "sees no CUDA here" in said


def test_the_table_is_made_on_a_cpu_too(capsys):
    asked = ["--device", "cpu", "--images", "2", "--steps", "2", "--repeats", "1", "--members", "1", "2"]
    assert main([*asked, "--dtype", "bfloat16"]) == 0
    said = capsys.readouterr().out
    assert "2 at once in 2 steps of DDIM, bfloat16, cpu" in said
    rows = [
        line.split(" | ") for line in said.splitlines() if line.startswith("| ") and not line.startswith("| member")
    ]
    assert [row[0] for row in rows] == ["| 1 dtype[to=bfloat16]", "| 2 dtype[to=bfloat16]"]
    assert all(float(cell.replace(",", "")) > 0 for row in rows for cell in row[1:4])


def test_what_takes_long_outside_the_network_is_named():
    assert Speed("1", 90, 100, 50).outside == pytest.approx(0.1)
    assert "More than 5% outside the network: member 1." in table(
        [Speed("1", 90, 100, 50), Speed("2", 99, 100, 9)], "T"
    )
    assert "More than" not in table([Speed("2", 99, 100, 9)], "T")


def test_the_three_ways_do_the_same_work():
    """The same evaluations; and the pipeline is of the zoo's own noise schedule."""
    zoo = ModelZoo.load(ZOO).subset([1])
    (member,) = zoo.members
    space = space_on(zoo.noise, "ddim", 1, 5, None)
    timesteps = [stage.timestep for stage in compile_plan(np.ones(5, dtype=int), space, zoo.noise).stages]
    asked = []
    member.network.module.register_forward_pre_hook(lambda module, given: asked.append(float(given[1][0])))
    bare(member, zoo.starting_noise(2, 0), timesteps)
    assert asked == timesteps and len(timesteps) == 5
    scheduler = pipeline(ModelZoo.load(ZOO), ModelZoo.load(ZOO).members[0]).scheduler
    np.testing.assert_allclose(scheduler.alphas_cumprod.numpy(), zoo.noise.alpha_bar(np.arange(1000)), rtol=1e-4)
