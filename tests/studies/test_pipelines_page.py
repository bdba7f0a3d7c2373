"""The example of ``docs/pipelines.md`` runs, and its table of pipelines is ours."""

import re
from pathlib import Path

from omsdpm.pipelines.guidance import PROTOCOLS
from omsdpm.zoo.adding import add_member
from tests import pipelines

PAGE = (Path(__file__).parents[2] / "docs" / "pipelines.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("small", "large")):
        add_member(pipelines.tiny_ddpm(name, seed=seed), "zoo")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {}
    exec(code, names)
    assert names["image"].shape == (8, 8, 1)
    assert str(names["members"]) == re.search(r"`members` is then `(.*?)`", PAGE)[1]
    assert type(names["pipe"].scheduler).__name__ == "DDPMScheduler"


def test_every_guided_pipeline_is_there():
    (table,) = re.findall(r"\| pipeline \|.*?\n\|---.*?\n(.*?)\n\n", PAGE, re.DOTALL)
    said = {
        f"{name}Pipeline"
        for line in table.split("\n")
        if line
        for name in re.findall(r"\b[A-Z]\w+\b", line.split("|")[1])
    }
    assert said == set(PROTOCOLS)
