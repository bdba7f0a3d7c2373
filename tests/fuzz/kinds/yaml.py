"""The release's ``config.yml``, of zoos and of predictors."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.case import Case, Kind, refused
from tests.fuzz.mutations import Rng, changed, damaged
from tests.fuzz.valid import GOLDEN

PREDICTOR = """
max_timesteps: 1000
timestep_type: logSNR
noise_schedule: {schedule: linear, beta_start: 0.0001, beta_end: 0.02}
"""

BOMBS = {
    "aliases": "a: &a [x, x, x, x]\n" + "".join(f"b{k}: &b{k} [*a, *a, *a, *a, *a, *a]\n" for k in range(10)),
    "aliases of aliases": "a0: &a0 [x]\n"
    + "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 3)}]\n" for k in range(1, 10)),
    "itself": "a: &a [*a]\n",
    "deep": "a: " + "[" * 5000 + "]" * 5000,
    "deep block": "\n".join(" " * k + "a:" for k in range(2000)),
    "a Python object": "a: !!python/object/apply:os.system ['touch /tmp/omsdpm-fuzz-was-run']\n",
    "a long integer": "model: {ch: " + "9" * 5000 + "}\n",
    "a sexagesimal": "model: {ch: 1:" + "59:" * 500 + "1}\n",
    "a list": "- 1\n- 2\n",
    "a word": "hello\n",
    "a large file": "a: " + "x" * 2**21 + "\n",
    "a key twice": "a: {b: 1, b: 2}\n",
    "a tag": "a: !unknown 3\n",
    "merge": "a: &a {x: 1}\nb: {<<: [*a, *a]}\n",
    "several documents": "a: 1\n---\nb: 2\n",
    "tabs": "a:\n\t- 1\n",
    "list as a key": "? [1, 2]\n: 3\n",
}


class YamlKind(Kind):
    """Files of YAML."""

    name = "YAML"
    share = 0.9

    def case(self, rng: Rng, folder: Path) -> Case:
        import yaml

        of_zoo = rng.random() < 0.75
        if of_zoo:
            zoo = folder / "zoo"
            shutil.copytree(self.valid / "released_zoo", zoo)
            path = zoo / "2" / "config.yml"
        else:
            zoo, path = folder, folder / "predictor.yml"
            path.write_text(PREDICTOR)
        source = path.read_text()
        act = rng.random()
        wrong: Any = self._wrong
        if act < 0.3:
            what, raw = damaged(source.encode(), rng)
            path.write_bytes(raw)
        elif act < 0.5:
            names = list(BOMBS)
            what = names[int(rng.integers(len(names)))]
            path.write_text(BOMBS[what])
            if of_zoo:
                wrong = refused("it is no configuration of a network")
        elif act < 0.75:
            what = self._line(path, source, rng)
        else:
            what, value = changed(yaml.safe_load(source), rng)
            try:
                path.write_text(yaml.safe_dump(value, allow_unicode=True), errors="surrogatepass")
            except (ValueError, RecursionError, yaml.YAMLError):
                path.write_text("")
                what += ", nothing"

        def read() -> Any:
            from omsdpm.released import load_predictor, load_zoo

            if of_zoo:
                return load_zoo(zoo)
            return load_predictor(GOLDEN / "predictor_dpm_solver.pth", path)

        return Case(f"{path.name}: {what}", path, read, wrong)

    def _line(self, path: Path, source: str, rng: Rng) -> str:
        lines = source.splitlines()
        at = [number for number, line in enumerate(lines) if ":" in line]
        line = int(rng.choice(at))
        values = ["half", "[10]", "-3", "0", ".inf", ".nan", "{a: 1}", "null", "true", "1e30", "9" * 30, "'5'", "2.5",
                  "2026-01-01", "[[[]]]", "0x10", "1_000", "", "99999999", "!!binary aGk="]  # fmt: skip
        value = values[int(rng.integers(len(values)))]
        lines[line] = f"{lines[line].partition(':')[0]}: {value}"
        path.write_text("\n".join(lines))
        return lines[line].strip()[:60]

    def _wrong(self, got: Any) -> str | None:
        """What was accepted has the undamaged zoo's images, and computes numbers."""
        import torch

        if not hasattr(got, "members"):
            scores = got.predict(got.space.random(20, np.random.default_rng(0)))
            return None if np.isfinite(scores).all() else "it predicts NaN or infinity"
        from omsdpm.released import load_zoo

        own = load_zoo(self.valid / "released_zoo")
        if got.shape != own.shape:
            return f"its images have shape {got.shape}"
        x = torch.linspace(-1, 1, got.shape[0] * got.shape[1] * got.shape[2]).reshape(1, *got.shape)
        output = got.members[1](x, 500)
        if not torch.isfinite(output).all():
            return "its output is not finite"
        return None
