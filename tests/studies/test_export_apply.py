"""From ``omsdpm-bench export --to json`` back into a pipeline, and what files cannot be taken."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from omsdpm.errors import InputError
from omsdpm.pipelines import ScheduleFile, apply
from omsdpm.sampling import sample
from omsdpm.zoo import ModelZoo
from omsdpm.zoo.adding import add_member
from studies.cli import main
from tests import pipelines


@pytest.fixture
def folders(tmp_path):
    """A pipeline's folder, and that of a zoo of it and another."""
    for seed, name in enumerate(("small", "large")):
        add_member(pipelines.tiny_ddpm(tmp_path / name, seed=seed), tmp_path / "zoo")
    return tmp_path / "small", tmp_path / "zoo"


def exported(zoo, schedule, path, *more):
    arguments = ["export", schedule, "--to", "json", "--zoo", zoo, "--output", path, *more]
    outcome = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert outcome.exit_code == 0, outcome.output
    return path


@pytest.mark.parametrize(
    "schedule, more",
    [
        ("2 0 1 1 2", ("--solver", "dpm-solver++")),
        ("2 1 0 2 1 1 2 0 0", ("--solver", "dpm-solver", "--spacing", "time_uniform")),
    ],
)
def test_an_exported_schedule_samples_in_the_pipeline(folders, tmp_path, schedule, more):
    folder, zoo = folders
    path = exported(zoo, schedule, tmp_path / "schedule.json", *more)
    pipe, members = pipelines.loaded(folder), ModelZoo.load(zoo)
    with apply(pipe, path) as applied:
        assert applied.plan == ScheduleFile.read(path).plan()
        theirs = pipe(generator=torch.Generator().manual_seed(5), output_type="np").images
    file = ScheduleFile.read(path)
    space = file.schedule_space
    x_T = torch.randn((1, *members.shape), generator=torch.Generator().manual_seed(5))
    x_0 = sample(
        members.denoisers, file.schedule, x_T, space=space, noise=space.solver_noise(members.noise),
        options=file.options.options,
    )  # fmt: skip
    ours = (x_0 / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    assert np.abs(ours - theirs).max() <= 1e-4
    assert file.zoo.folder == str(zoo) and [entry.number for entry in file.zoo.members] == [1, 2]


def test_a_file_that_is_none_is_one_line(folders, tmp_path):
    path = exported(folders[1], "2 1", tmp_path / "schedule.json", "--solver", "ddim")
    table = json.loads(path.read_text())
    for changes, message in [
        ({"format": "omsdpm-schedule-9"}, "says format 'omsdpm-schedule-9', expected 'omsdpm-schedule-1'; write one"),
        ({"schedule": [2, 3]}, "schedule.json: schedule 0 names member 3 in slot 1"),
        ({"schedule": [0, 0]}, "schedule.json: schedule 0 is all null"),
        ({"options": {"spacing": "wide"}}, "schedule.json: spacing 'wide': ddim has none"),
        ({"sloth": 1}, "schedule.json: unknown key 'sloth'"),
        ({"noise": {"kind": "loud"}}, "schedule.json: noise.*unknown"),
    ]:
        path.write_text(json.dumps(table | changes))
        with pytest.raises(InputError, match=message):
            ScheduleFile.read(path)
    path.write_text("[]")
    with pytest.raises(InputError, match="says format None"):
        apply(pipelines.loaded(folders[0]), path)
    path.write_text(json.dumps(table | {"zoo": {}}))
    with pytest.raises(InputError, match="does not say whose members it names: give zoo="):
        apply(pipelines.loaded(folders[0]), path)
    assert len(apply(pipelines.loaded(folders[0]), path, zoo=folders[1]).plan.stages) == 2
