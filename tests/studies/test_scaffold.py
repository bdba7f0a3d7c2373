"""``omsdpm-bench init``: what it writes is what the readers take."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from omsdpm.dataset.recipe import Recipe
from omsdpm.zoo import ZooFile
from studies.cli import main


def init(*args):
    return CliRunner().invoke(main, ["init", *map(str, args)])


def test_the_zoo_is_read(tmp_path):
    assert init("zoo", tmp_path / "zoo").exit_code == 0
    file = ZooFile.read(tmp_path / "zoo")
    assert [member.name for member in file.members] == ["small", "large"] and file.shape == (3, 32, 32)


def test_the_benchmark_is_read(tmp_path):
    assert init("zoo", tmp_path / "zoo").exit_code == 0
    assert init("benchmark", tmp_path / "mine").exit_code == 0
    recipe = Recipe.read(tmp_path / "mine")
    assert [one.design for one in recipe.rounds] == ["random"] and recipe.measurement.space.num_models == 2
    text = (tmp_path / "mine" / "benchmark.toml").read_text()
    assert "# whole number, a seed: of the drawing of schedules." in text and "# seed = 0" in text


@pytest.mark.parametrize("kind", ["zoo", "benchmark"])
def test_nothing_is_overwritten(tmp_path, kind):
    (tmp_path / f"{kind}.toml").write_text("mine")
    outcome = init(kind, tmp_path)
    assert outcome.exit_code == 2 and "exists: name another folder" in outcome.stderr
    assert (tmp_path / f"{kind}.toml").read_text() == "mine"
