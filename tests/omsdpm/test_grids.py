"""Named grids are those of diffusers' schedulers."""

from __future__ import annotations

import numpy as np
import pytest
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
)

from omsdpm.errors import InputError
from omsdpm.noise import Flow, make_noise
from omsdpm.scoring.measurement import Measurement, measurement_from_table
from omsdpm.solvers import make_space, space_from_table, space_on
from omsdpm.solvers.grids import GRIDS, grid_timesteps


@pytest.mark.parametrize("steps", [4, 10, 20, 50])
@pytest.mark.parametrize(
    "grid, scheduler",
    [
        ("leading", DDIMScheduler()),
        ("leading[offset=1]", DDIMScheduler(steps_offset=1)),
        ("leading[offset=1]", EulerDiscreteScheduler(timestep_spacing="leading", steps_offset=1)),
        ("trailing", DDIMScheduler(timestep_spacing="trailing")),
        ("trailing", DPMSolverMultistepScheduler(timestep_spacing="trailing")),
        ("linspace", DDIMScheduler(timestep_spacing="linspace")),
        ("linspace", DDPMScheduler(timestep_spacing="linspace")),
        ("dpm-linspace", DPMSolverMultistepScheduler()),
        ("dpm-linspace", UniPCMultistepScheduler()),
        ("dpm-leading[offset=1]", DPMSolverMultistepScheduler(timestep_spacing="leading", steps_offset=1)),
        ("flow-euler[shift=1]", FlowMatchEulerDiscreteScheduler()),
        ("flow-euler[shift=3]", FlowMatchEulerDiscreteScheduler(shift=3.0)),
    ],
)
def test_a_grid_is_that_of_its_scheduler(grid, scheduler, steps):
    scheduler.set_timesteps(steps)
    np.testing.assert_allclose(grid_timesteps(grid, steps), scheduler.timesteps.numpy(), rtol=2e-6)


def test_every_grid_was_compared():
    marks = test_a_grid_is_that_of_its_scheduler.pytestmark
    compared = {grid.partition("[")[0] for mark in marks if mark.args[0].startswith("grid") for grid, _ in mark.args[1]}
    assert compared == set(GRIDS)


def test_a_name_stands_wherever_timesteps_do(tiny_zoo):
    named = make_space("ddim", 2, 4, timesteps="trailing")
    assert named.grid == (999.0, 749.0, 499.0, 249.0)
    assert space_from_table(named.table()) == named
    flow = space_on(Flow(shift=3.0), "unipc", 2, 4, "flow-euler")
    assert flow.grid == grid_timesteps("flow-euler[shift=3.0]", 4)
    assert space_on(make_noise({"kind": "linear", "steps": 100}), "ddim", 2, 4, "linspace").grid == (99, 66, 33, 0)
    table = {"zoo": str(tiny_zoo), "solver": "ddim", "length": 4, "timesteps": "leading[offset=1]", "images": 2}
    measurement = measurement_from_table(table, tiny_zoo)
    assert measurement.space.grid == (751.0, 501.0, 251.0, 1.0)


@pytest.mark.parametrize(
    "text, message",
    [
        ("sideways", "unknown grid of timesteps 'sideways'"),
        ("leading[offsat=1]", "unknown parameter of grid 'leading' 'offsat'"),
        ("leading[offset=0.5]", "offset = 0.5, expected a whole number from 0 on"),
        ("trailing[offset=1]", "grid 'trailing' takes no parameters: leave out 'offset'"),
        ("flow-euler[shift=soon]", "shift = 'soon', expected a number from 0 on"),
        ("leading[offset=1", "closing bracket"),
    ],
)
def test_a_grid_that_is_none_is_one_line(text, message):
    with pytest.raises(InputError, match=message):
        make_space("ddim", 2, 4, timesteps=text)
    with pytest.raises(InputError, match=message):
        Measurement(zoo="z", solver="ddim", length=4, timesteps=text)


def test_grids_that_do_not_fit():
    with pytest.raises(InputError, match=r"is of flow matching: give its shift, as flow-euler\[shift=3\]"):
        make_space("ddim", 2, 4, timesteps="flow-euler")
    with pytest.raises(InputError, match="length=1001: at most 1000 slots"):
        make_space("ddim", 2, 1001, timesteps="linspace")
    with pytest.raises(InputError, match=r"outside 0\.\.999"):
        space_on(make_noise({"kind": "linear"}), "ddim", 2, 4, "leading[offset=250]")
    for call in (make_space, lambda *args, timesteps: Measurement("z", "dpm-solver", 3, timesteps=timesteps)):
        with pytest.raises(InputError, match="timesteps for dpm-solver, which places its solvers itself"):
            call("dpm-solver", 2, 3, timesteps="trailing")
