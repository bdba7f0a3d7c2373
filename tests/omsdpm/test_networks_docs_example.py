"""The networks in ``docs/network.md``, installed as the page says, are members like ours."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from omsdpm import DDIMSpace, InputError, ModelZoo
from omsdpm.guidance import conditioned
from omsdpm.networks import network_names
from omsdpm.networks.predictions import PREDICTIONS
from omsdpm.sampling import sample
from omsdpm.zoo import zoo_digest

PAGE = (Path(__file__).parents[2] / "docs" / "network.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w.]+)`[^\n]*:\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
MEMBER = re.search(r"^Its member:\n\n```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE).group(1)
MODULES = ("my_networks", "conv_network")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The page's zoo with its third member; its modules and the metadata an installer would make are on the path."""
    site, zoo = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("zoo")
    for module in MODULES:
        (site / f"{module}.py").write_text(FILES[f"{module}.py"], encoding="utf-8")
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    ((group, points),) = project["entry-points"].items()
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{lines}", encoding="utf-8")
    (zoo / "zoo.toml").write_text(FILES["zoo.toml"] + MEMBER, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        torch.manual_seed(0)
        save_file(importlib.import_module("my_networks").Conv(5).state_dict(), zoo / "conv.safetensors")
        yield zoo
        for module in MODULES:
            sys.modules.pop(module, None)


def test_the_page_lists_all_predictions():
    names = re.findall(r"^\| `(\w+)` .*\|.*\|$", PAGE.split("## ")[0], re.MULTILINE)
    assert names[1:] == list(PREDICTIONS)


def test_all_three_are_members(folder):
    assert "conv" in network_names()
    zoo = ModelZoo.load(folder)
    assert [member.num_classes for member in zoo.members] == [None, 10, 10]
    assert [member.name for member in zoo.members] == ["my_networks:gaussian", "my_networks:trained_conv", "conv"]
    x, labels = torch.randn(4, 1, 8, 8), torch.tensor([0, 9, 3, 3])
    with torch.no_grad():
        second, third = (member(x, 321.0, labels) for member in zoo.members[1:])
        assert torch.equal(second, third) and not torch.equal(second, zoo.members[1](x, 321.0, 1 - labels % 2))
    X = [1, 0, 2, 3]
    images = sample(conditioned(zoo.denoisers, labels), X, x, space=DDIMSpace(3, 4), noise=zoo.noise)
    assert images.shape == x.shape and images.isfinite().all()


def test_the_gaussian_leaves_gaussian_noise_as_it_is(folder):
    """Its images are N(0, 1) as their noise is, so the exact probability flow moves nothing."""
    zoo = ModelZoo.load(folder).subset([1])
    x_T = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x_0 = sample(zoo.denoisers, np.ones(200, dtype=int), x_T, space=DDIMSpace(1, 200), noise=zoo.noise)
    torch.testing.assert_close(x_0, x_T, rtol=0, atol=0.05)


def test_they_are_identified_by_their_weights(folder):
    before = zoo_digest(folder)
    weights = (folder / "conv.safetensors").read_bytes()
    (folder / "conv.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    after = zoo_digest(folder)
    (folder / "conv.safetensors").write_bytes(weights)
    assert {key for key in before if before[key] != after[key]} == {"2", "3"}


def test_keys_are_checked_as_the_page_says(folder, tmp_path):
    for old, new, message in [
        ('file = "conv', 'files = "conv', "unknown key of a conv member 'files'; choose one of: file, "),
        ("width = 5\n", "width = -5\n", r"width.* -5.*greater than 0"),
    ]:
        assert old in MEMBER
        (tmp_path / "zoo.toml").write_text(FILES["zoo.toml"] + MEMBER.replace(old, new), encoding="utf-8")
        with pytest.raises(InputError, match=message):
            ModelZoo.load(tmp_path)
