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


def rows(said):
    """Cells of the rows of a table."""
    lines = [line for line in said.splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[1:]]


@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_the_table_is_made_on_a_cpu_too(capsys, dtype):
    asked = ["--device", "cpu", "--images", "2", "--steps", "2", "--repeats", "1", "--members", "1", "2"]
    assert main(asked if dtype is None else [*asked, "--dtype", dtype]) == 0
    said = capsys.readouterr().out
    assert f"2 at once in 2 steps of DDIM, {dtype or 'float32'}, cpu" in said
    assert [row[0][0] for row in rows(said)] == ["1", "2"]
    speeds = [row[1:3] if dtype else row[1:4] for row in rows(said)]
    assert all(float(cell.replace(",", "")) > 0 for row in speeds for cell in row)
    assert dtype is None or [row[3] for row in rows(said)] == ["-", "-"]


def test_what_takes_long_outside_the_network_is_named():
    slow, fast = Speed("1", 90, 100, 50), Speed("2", 99, 100, 9)
    assert slow.outside == pytest.approx(0.1)
    assert "More than 5% outside the network: member 1." in table([slow, fast], "Speeds:")
    assert "More than" not in table([fast], "Speeds:")


def test_the_three_ways_do_the_same_work():
    """The same evaluations; and the pipeline is of the zoo's own noise schedule."""
    zoo = ModelZoo.load(ZOO).subset([1])
    (member,) = zoo.members
    space = space_on(zoo.noise, "ddim", 1, 5, None)
    timesteps = [stage.timestep for stage in compile_plan(np.ones(5, dtype=int), space, zoo.noise).stages]
    asked = []
    hook = member.network.module.register_forward_pre_hook(lambda module, given: asked.append(float(given[1][0])))
    bare(member, zoo.starting_noise(2, 0), timesteps)
    hook.remove()
    assert asked == timesteps and len(timesteps) == 5
    scheduler = pipeline(zoo, member).scheduler
    np.testing.assert_allclose(scheduler.alphas_cumprod.numpy(), zoo.noise.alpha_bar(np.arange(1000)), rtol=1e-4)
