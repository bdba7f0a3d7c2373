"""Schedules and latencies as JSON, CSV, text and ``.npy``."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.case import Case, Kind
from tests.fuzz.kinds.builds import header_of_terabytes
from tests.fuzz.mutations import Rng, array_changed, changed, damaged

LATENCIES = [13.5, 20.6, 34.0, 65]
X = [[0, 1, 2, 4], [3, 0, 0, 1], [4, 4, 4, 4]]


class PlainKind(Kind):
    """What people have beside ``.pth``."""

    name = "JSON, CSV, text"
    share = 0.9

    def case(self, rng: Rng, folder: Path) -> Case:
        latency = rng.random() < 0.5
        values: Any = LATENCIES if latency else X
        form = ["json", "csv", "txt", "npy"][int(rng.integers(4))]
        path = folder / f"{'latency' if latency else 'schedules'}.{form}"
        what = _write(path, values, form, latency, rng)
        if rng.random() < 0.4:
            what, raw = damaged(path.read_bytes(), rng)
            path.write_bytes(raw)

        def read() -> Any:
            from omsdpm.released import read_schedules
            from omsdpm.solvers import DDIMSpace
            from omsdpm.zoo.opening import read_latency_table

            return read_latency_table(path, 4) if latency else read_schedules(path, DDIMSpace(4, 4))

        return Case(f"{path.name}: {what}", path, read, lambda got: _wrong(path, form, latency, got))


def _write(path: Path, values: Any, form: str, latency: bool, rng: Rng) -> str:
    if form == "npy":
        act = rng.random()
        if act < 0.1:
            path.write_bytes(header_of_terabytes())
            return "a header of terabytes"
        what, array = array_changed(np.array(values), rng)
        np.save(path, array)
        return what
    what, value = changed(values, rng)
    if rng.random() < 0.3:
        key = str(rng.choice(["ms", "latency", "model_schedule", "unknown"]))
        value, what = {key: value}, f"{what}, under {key}"
    try:
        if form == "json":
            text = json.dumps(value)
        else:
            rows = value if isinstance(value, list) else [value]
            buffer = io.StringIO()
            separator = str(rng.choice([",", ";", "\t"])) if form == "csv" else " "
            writer = csv.writer(buffer, delimiter=separator)
            if rng.random() < 0.3:
                writer.writerow([str(rng.choice(["latency_ms", "schedule", "=1+1", "name"]))])
            for row in rows:
                writer.writerow(row if isinstance(row, list) else [row])
            text = buffer.getvalue()
    except (ValueError, RecursionError, csv.Error):
        text = "9" * 5000
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return what


def _wrong(path: Path, form: str, latency: bool, got: Any) -> str | None:
    """Compares with numbers that are read here anew."""
    numbers = _numbers(path, form)
    if isinstance(numbers, str):
        return numbers
    own = np.asarray(got, dtype=float).reshape(-1)
    if len(numbers) != len(own) or not np.array_equal(np.array(numbers, float), own):
        return f"numbers {numbers[:12]} were read as {own[:12].tolist()}"
    if latency:
        return None if np.isfinite(own).all() and (own >= 0).all() and len(own) == 4 else "they are no 4 latencies"
    X = np.asarray(got)
    fits = X.shape[1:] == (4,) and (X >= 0).all() and (X <= 4).all() and X.any(axis=1).all()
    return None if fits else "they are no schedules of the space"


def _numbers(path: Path, form: str) -> list[float] | str:
    raw = path.read_bytes()
    if form == "npy" and raw.startswith(b"\x93NUMPY"):
        array = np.load(io.BytesIO(raw))
        if array.dtype.kind not in "iuf":
            return f"an array of {array.dtype}"
        return [float(one) for one in array.reshape(-1)]
    text = raw.decode("utf-8-sig")
    if text.lstrip()[:1] in ("[", "{"):
        found: list[float] = []
        content = json.loads(text)
        if isinstance(content, dict):
            keys = [key for key in ("model_schedule", "ms", "latency_ms", "latency") if key in content]
            if not keys:
                return "no key that is read"
            content = content[keys[0]]

        def walk(value: Any) -> bool:
            if isinstance(value, list):
                return all(map(walk, value))
            if isinstance(value, dict):
                return walk(value.get("model_schedule", value.get("ms")))
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                return False
            found.append(float(value))
            return True

        return found if walk(content) else "something other than numbers"
    found = []
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for number, line in enumerate(lines):
        for mark in "\t;,":
            line = line.replace(mark, " ")
        for cell in line.replace('"', " ").split():
            try:
                found.append(float(cell))
            except ValueError:
                if number == 0 and cell.lower() in ("latency_ms", "schedule", "latency", "ms", "model_schedule"):
                    continue
                return f"{cell!r} is no number"
    return found
