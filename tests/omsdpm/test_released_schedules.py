"""Searched schedules and final populations, read and written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from omsdpm import DDIMSpace, DPMSolverSpace, InputError
from omsdpm.released import read_schedules, write_population, write_schedule

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
SPACES = {"ddim": DDIMSpace(6, 100), "dpm_solver": DPMSolverSpace(6, 30)}


def released(name):
    return torch.load(GOLDEN / f"{name}.pth", weights_only=True)


@pytest.mark.parametrize("kind", SPACES)
def test_golden_schedules_are_read(kind):
    population = read_schedules(GOLDEN / f"final_population_{kind}.pth", SPACES[kind])
    assert population.tolist() == released(f"final_population_{kind}") and population.dtype == np.int64
    searched = read_schedules(GOLDEN / f"searched_{kind}.pth", SPACES[kind])
    assert searched.tolist() == [released(f"searched_{kind}")]


@pytest.mark.parametrize("kind", SPACES)
def test_ours_are_written_as_the_release_writes_them(tmp_path, kind):
    population = read_schedules(GOLDEN / f"final_population_{kind}.pth")
    write_population(tmp_path / "all.pth", population, SPACES[kind])
    write_schedule(tmp_path / "best.pth", population[0], SPACES[kind])
    written = torch.load(tmp_path / "all.pth", weights_only=True)
    assert written == released(f"final_population_{kind}")
    assert all(type(member) is int for row in written for member in row)
    assert torch.load(tmp_path / "best.pth", weights_only=True) == released(f"final_population_{kind}")[0]
    assert np.array_equal(read_schedules(tmp_path / "all.pth"), population)


@pytest.mark.parametrize(
    "content",
    [
        [[1, 0, 2], [3, 0, 0]],
        torch.tensor([[1, 0, 2], [3, 0, 0]]),
        np.array([[1.0, 0, 2], [3, 0, 0]]),
        [{"ms": [1, 0, 2], "cost": 5}, {"model_schedule": torch.tensor([3, 0, 0])}],
        [[[1, 0, 2], 17.5], ([3, 0, 0], np.float64(4))],
        (torch.tensor([1, 0, 2]), np.array([3, 0, 0])),
    ],
)
def test_schedules_in_any_spelling(tmp_path, content):
    torch.save(content, tmp_path / "file.pth")
    assert read_schedules(tmp_path / "file.pth").tolist() == [[1, 0, 2], [3, 0, 0]]


@pytest.mark.parametrize("content", [[1, 0, 2], {"ms": [1, 0, 2]}, torch.tensor([1, 0, 2])])
def test_one_schedule_in_any_spelling(tmp_path, content):
    torch.save(content, tmp_path / "file.pth")
    assert read_schedules(tmp_path / "file.pth").tolist() == [[1, 0, 2]]


@pytest.mark.parametrize(
    "content, match",
    [
        ([], "holds no schedules"),
        (3, "holds no schedules"),
        ([[1, 2], [1, 2, 3]], "schedule 1 has 3 slots, schedule 0 has 2"),
        ([[1, 2], "x"], "schedule 1 has no schedule"),
        ([[1, 2], {"score": 3.0}], "schedule 1 has no schedule"),
        ([[1, 2.5]], "schedule 0 has 2.5 in slot 1"),
        ([[1, 7, 0], [1, 2, 3]], "schedule 0 names member 7"),
        ([[1, 2, 3], [1, 0, 2]], r"schedule 1 has a null before a model in solver 0 \[1, 0, 2\]"),
        ([[1, 0, 0, 0]], "of length 4"),
    ],
)
def test_what_is_no_schedule_is_told(tmp_path, content, match):
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(InputError, match=match):
        read_schedules(tmp_path / "file.pth", DPMSolverSpace(6, 1))


def test_only_schedules_are_written(tmp_path):
    path = tmp_path / "file.pth"
    for X, match in [([[1.5, 2]], "expected member numbers"), ([[-1, 2]], "expected member numbers")]:
        with pytest.raises(InputError, match=match):
            write_population(path, X)
    with pytest.raises(InputError, match="all null"):
        write_population(path, [[0, 0]], DDIMSpace(2, 2))
    with pytest.raises(InputError, match="expected one schedule"):
        write_schedule(path, [[1, 2]])
    assert not list(tmp_path.iterdir())
