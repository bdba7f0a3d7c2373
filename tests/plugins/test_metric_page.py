"""The metric and the feature network of ``docs/metric.md``, installed as the page says."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from omsdpm import DDIMSpace, ModelZoo
from omsdpm.released import write_schedule
from omsdpm.sampling import sample
from omsdpm.scoring.features import make_features
from omsdpm.scoring.metrics import Context, make_metric
from studies.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "metric.md").read_text(encoding="utf-8")
X = [0, 3, 0, 2, 0, 0, 1, 3]


def block(language: str) -> str:
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return code


@pytest.fixture
def texture(site):
    site.install(block("toml"), texture_example=block("python"))


def run(*args):
    return CliRunner().invoke(main, list(map(str, args)))


def test_list_shows_both(texture):
    listed = run("list").stdout
    assert re.search(r"^  roughness +How far the mean difference of neighboring pixels is from", listed, re.M)
    assert re.search(r"^  spectrum +Sizes of the lowest", listed, re.M)
    for name in re.findall(r"^\| `(\w[\w-]*)[`\[]", PAGE, re.M):
        if name not in ("context",):
            assert re.search(rf"^  {name} ", listed, re.M), name


def test_the_commands_of_the_page(texture, tiny_zoo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_schedule("searched.pth", X, DDIMSpace(3, 8))
    (tmp_path / "real-images").mkdir()
    for i, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)):
        Image.fromarray(pixels).save(tmp_path / "real-images" / f"{i}.png")
    zoo = ModelZoo.load(tiny_zoo)
    x_0 = sample(zoo.denoisers, X, zoo.starting_noise(30, 0), space=DDIMSpace(3, 8), noise=zoo.noise)
    commands = re.findall(r"omsdpm-bench sample --zoo zoo (.*)$", PAGE, re.M)
    assert len(commands) == 2
    for command in commands:
        words = [word.strip("'").replace("100", "30") for word in command.split()]
        outcome = run("sample", "--zoo", tiny_zoo, "--device", "cpu", "--output", "s.json", *words)
        assert outcome.exit_code == 0, outcome.output
        text = words[words.index("--metric") + 1]
        metric = make_metric(text, shape=(1, 8, 8), reference="real-images")
        metric.update(x_0[:11], 0)
        rest = make_metric(text, shape=(1, 8, 8), reference="real-images")
        rest.update(x_0[11:], 11)
        metric.merge(rest)
        result = json.loads(Path("s.json").read_text())
        assert result["metric"] == text and result["score"] == pytest.approx(metric.value(), rel=1e-4)


def test_what_they_compute(texture):
    images = torch.zeros(2, 1, 8, 8)
    images[1, :, :, ::2] = 0.5
    metric = make_metric("roughness[target=0.1]", shape=(1, 8, 8))
    metric.update(images, 0)
    assert metric.value() == pytest.approx(0.25 - 0.1)
    features = make_features("spectrum[waves=2]")(images)
    np.testing.assert_allclose(features, [[0, 0, 0, 0], [16, 0, 0, 0]], atol=1e-9)


def test_what_the_page_names_is_there():
    for module in re.findall(r"`((?:omsdpm)(?:\.\w+)+)`", PAGE):
        importlib.import_module(module)
    for name in re.findall(r"^\| `context\.(\w+)", PAGE, re.M):
        assert hasattr(Context((1, 8, 8)), name)
