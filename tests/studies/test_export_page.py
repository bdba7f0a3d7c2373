"""The example of ``docs/export.md`` runs, and the page lists every target."""

import json
import re
from pathlib import Path

from studies.jobs.export.settings import target_names

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {}
    exec(code, names)
    said = float(re.search(r'"denoising_end": ([\d.]+)', PAGE)[1])
    assert json.loads(names["text"])["denoising_end"] == said


def test_every_target_is_there():
    assert sorted(re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE)) == sorted(target_names())
