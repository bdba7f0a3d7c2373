"""Saved predictors of every family: headers, arrays, and what is remembered beside them."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.case import Case, Kind, refused
from tests.fuzz.mutations import Rng, array_changed, changed, damaged, nested
from tests.fuzz.valid import FAMILIES

HEADER, ARRAYS = "predictor.json", "arrays.safetensors"
COUNT = 200
"""Schedules that an accepted predictor has to score."""


class PredictorKind(Kind):
    """Folders of fitted predictors."""

    name = "saved predictors"
    share = 1.8

    def __init__(self, valid: Path) -> None:
        super().__init__(valid)
        self._known: dict[int, dict[str, np.ndarray]] = {}

    def case(self, rng: Rng, folder: Path) -> Case:
        number = int(rng.integers(len(FAMILIES)))
        saved = folder / "saved"
        shutil.copytree(self.valid / "predictors" / str(number), saved)
        wrong = self._usable(number)
        act = rng.random()
        if act < 0.3:
            path, what, wrong = self._header(saved, number, rng)
        elif act < 0.4:
            path = saved / HEADER
            what, raw = damaged(path.read_bytes(), rng)
            path.write_bytes(raw)
        elif act < 0.75:
            path, what, wrong = self._arrays(saved, number, rng)
        elif act < 0.9:
            path = saved / ARRAYS
            what, raw = damaged(path.read_bytes(), rng)
            path.write_bytes(raw)
        else:
            path, what, wrong = self._other(saved, number, rng)

        def read() -> Any:
            from predictors import load_predictor

            predictor = load_predictor(saved)
            assert predictor.space is not None
            X = predictor.space.random(COUNT, np.random.default_rng(0))
            return predictor.predict(X), predictor.predict_std(X) if predictor.has_std else None

        return Case(f"{FAMILIES[number]}: {path.name}: {what}", path, read, wrong)

    def _valid(self, number: int) -> dict[str, np.ndarray]:
        """Arrays of the predictor as it was saved."""
        from safetensors.numpy import load_file

        if number not in self._known:
            self._known[number] = load_file(self.valid / "predictors" / str(number) / ARRAYS)
        return self._known[number]

    def _usable(self, number: int) -> Any:
        """A judge of damage that need not be seen: what was accepted gives finite scores, and spreads."""

        def wrong(got: Any) -> str | None:
            scores, std = got
            if scores.shape != (COUNT,) or not np.isfinite(scores).all():
                return "it predicts NaN or infinity"
            if std is not None and (not np.isfinite(std).all() or (std < 0).any()):
                return "its standard deviations are NaN, infinite or negative"
            return None

        return wrong

    def _header(self, saved: Path, number: int, rng: Rng) -> tuple[Path, str, Any]:
        path = saved / HEADER
        table = json.loads(path.read_text())
        what, value = changed(table, rng)
        if rng.random() < 0.03:
            path.write_text("[" * 50_000 + "]" * 50_000)
            return path, "deep", refused("it is no object")
        try:
            path.write_text(json.dumps(value), encoding="utf-8", errors="surrogatepass")
        except (ValueError, RecursionError):
            path.write_text('{"format": 1' + "0" * 5000 + "}")
            return path, "a long number", refused("its format is no version")
        try:
            json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
        except ValueError:
            return path, what, refused("it is no JSON")
        return path, what, self._judge_header(number, table, value)

    def _judge_header(self, number: int, table: Any, value: Any) -> Any:
        if not isinstance(value, dict):
            return refused("it is no object")
        for key in ("format", "predictor", "space", "noise", "options", "parameters", "target", "learned"):
            if key not in value:
                if key == "options":
                    continue
                return refused(f"it lacks {key}")
        if set(value) - set(table):
            return refused("it has a key that no version knows")
        if type(value["format"]) is not int:
            return refused("its format is no version")
        for key in ("space", "parameters", "target", "learned", "options"):
            if isinstance(table.get(key), dict) and key in value:
                said, got = table[key], value[key]
                if got is None and key == "options":
                    continue
                if not isinstance(got, dict) or set(got) - set(said):
                    return refused(f"{key} has a key that it cannot have")
                for name, inner in got.items():
                    fault = _other_type(said[name], inner, name)
                    if fault:
                        return refused(f"{key}.{name}: {fault}")
        return self._usable(number)

    def _arrays(self, saved: Path, number: int, rng: Rng) -> tuple[Path, str, Any]:
        from safetensors.numpy import load_file, save_file

        path = saved / ARRAYS
        arrays = load_file(path)
        names = sorted(arrays)
        name = names[int(rng.integers(len(names)))]
        before = arrays[name]
        act = rng.random()
        if act < 0.08:
            del arrays[name]
            what = f"{name} removed"
        elif act < 0.14:
            arrays[name + "x"] = arrays.pop(name)
            what = f"{name} renamed"
        elif act < 0.2:
            arrays["more"] = np.zeros(3)
            what = "one more"
        elif act < 0.25 and len(names) > 1:
            other = names[int(rng.integers(len(names)))]
            arrays[name], arrays[other] = arrays[other], arrays[name]
            what = f"{name} and {other} exchanged"
        else:
            what, arrays[name] = array_changed(before, rng)
            what = f"{name} {what}"
        save_file(arrays, path)
        own = self._valid(number)
        if set(arrays) != set(own):
            # A folder of an older version has no outline of its labels.
            lacking = set(own) - set(arrays)
            coverage = {key for key in own if key.startswith("coverage/")}
            if set(arrays) <= set(own) and lacking == coverage:
                return path, what, self._usable(number)
            return path, what, refused("arrays are lacking or too many")
        for key, array in own.items():
            if arrays[key].shape != array.shape or arrays[key].dtype != array.dtype:
                return path, what, refused(f"{key} is {arrays[key].dtype} {arrays[key].shape}")
            if np.isnan(arrays[key]).any():
                return path, what, refused(f"{key} holds NaN")
            if np.isinf(arrays[key]).any() and not np.isinf(array).any():
                return path, what, refused(f"{key} holds infinity")
        return path, what, self._usable(number)

    def _other(self, saved: Path, number: int, rng: Rng) -> tuple[Path, str, Any]:
        path = saved / ARRAYS
        act = int(rng.integers(5))
        if act == 0:
            other = (number + 1 + int(rng.integers(len(FAMILIES) - 1))) % len(FAMILIES)
            shutil.copy(self.valid / "predictors" / str(other) / ARRAYS, path)
            return path, f"arrays of {FAMILIES[other]}", refused("its arrays are another's")
        if act == 1:
            (size,) = struct.unpack("<Q", (raw := path.read_bytes())[:8])
            header = json.loads(raw[8 : 8 + size])
            what, header = changed(header, rng)
            try:
                text = json.dumps(header).encode()
            except (ValueError, RecursionError):
                text = json.dumps({"a": 1}).encode()
            path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + size :])
            return path, f"safetensors: {what}", self._usable(number)
        if act == 2:
            path.unlink()
            return path, "missing", refused("there are no arrays")
        if act == 3:
            header = saved / HEADER
            header.write_text(json.dumps(nested(900)))
            return header, "deep", refused("it is no object")
        header = saved / HEADER
        header.unlink()
        header.mkdir()
        return header, "a folder", refused("it is a folder")


def _other_type(said: Any, got: Any, name: str) -> str | None:
    """Why a value cannot stand where another did; what may be another's value too is left to its use."""
    if type(said) is type(got) and not isinstance(got, (dict, list)):
        if isinstance(got, float) and not np.isfinite(got):
            return "it is not finite"
        return None
    if isinstance(said, (int, float)) and isinstance(got, (int, float)) and not isinstance(said, bool):
        if isinstance(got, bool):
            return "it is true or false"
        return "it is not finite" if isinstance(got, float) and not np.isfinite(got) else None
    if said is None or got is None:
        return None  # of a parameter with several types
    if isinstance(said, list) and isinstance(got, list):
        return None  # is seen by use
    if isinstance(said, dict) and isinstance(got, dict):
        return None
    return f"{type(got).__name__} for {type(said).__name__}"


def _refuse(name: str) -> float:
    raise ValueError(name)
