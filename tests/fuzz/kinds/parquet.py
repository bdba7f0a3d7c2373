"""Parquet: datasets of schedules, and the baselines and strategies' choices of a benchmark."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.case import Case, Kind
from tests.fuzz.mutations import Rng, changed, damaged, hostile

ROWS = 6
MODELS, LENGTH = 3, 4


class ParquetKind(Kind):
    """Files of Parquet."""

    name = "Parquet"
    share = 0.9

    def case(self, rng: Rng, folder: Path) -> Case:
        kind = str(rng.choice(["schedules", "baselines", "strategies"], p=[0.5, 0.25, 0.25]))
        path = folder / f"{kind}.parquet"
        what = _write(path, rng, kind)
        if rng.random() < 0.35:
            what, raw = damaged(path.read_bytes(), rng)
            path.write_bytes(raw)

        def read() -> Any:
            from benchmarks.choices import read_choices
            from benchmarks.stored import read_baselines
            from omsdpm.dataset import ScheduleDataset
            from omsdpm.solvers import DDIMSpace

            if kind == "baselines":
                return read_baselines(path, DDIMSpace(MODELS, LENGTH), [1.0, 2.0, 4.0])
            if kind == "strategies":
                return read_choices(path, DDIMSpace(MODELS, LENGTH))
            return ScheduleDataset.read(path)

        wrongs = {"schedules": _wrong_dataset, "baselines": _wrong_baselines, "strategies": _wrong_choices}
        return Case(f"{path.name}: {what}", path, read, wrongs[kind](path))


def _write(path: Path, rng: Rng, kind: str) -> str:
    """A file with some damage that Parquet can hold."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    X = rng.integers(0, MODELS + 1, (ROWS, LENGTH))
    X[:, 0] = np.maximum(X[:, 0], 1)
    columns: dict[str, Any] = {"schedule": X.tolist()}
    if kind == "baselines":
        columns |= {"kind": ["single"] * ROWS, "name": [f"member {k}" for k in range(ROWS)]}
        columns["scores"] = rng.random((ROWS, 3)).tolist()
    elif kind == "strategies":
        columns |= {"strategy": ["single"] * ROWS, "name": [f"member {k}" for k in range(ROWS - 1)] + [None]}
        columns |= {"budget_ms": [4.0] * ROWS, "labels": list(range(ROWS)), "score": rng.random(ROWS).tolist()}
        columns |= {"scores": rng.random((ROWS, 3)).tolist(), "reason": [None] * (ROWS - 1) + ["nothing fits"]}
    else:
        columns |= {"score": rng.random(ROWS).tolist(), "split": ["train"] * ROWS, "design": ["a"] * ROWS}
    facts: Any = {"solver": "ddim", "num_models": MODELS, "length": LENGTH, "metric": "fd-digits", "extra": {"seed": 0}}
    names = list(columns)
    name = names[int(rng.integers(len(names)))]
    act = rng.random()
    types: dict[str, Any] = {}
    what = "as it is"
    if act < 0.1 and kind == "schedules":
        what, facts = changed(facts, rng)
    elif act < 0.2:
        del columns[name]
        what = f"no {name}"
    elif act < 0.55:
        row = int(rng.integers(ROWS))
        values = [list(one) if isinstance(one, list) else one for one in columns[name]]
        if isinstance(values[row], list) and rng.random() < 0.7:
            pick = [1.7, None, float("nan"), float("inf"), -1, MODELS + 1, 2**40, 0, 1.0][int(rng.integers(9))]
            values[row][int(rng.integers(len(values[row])))] = pick
            what = f"{name} has {pick}"
        else:
            values[row] = hostile(rng)
            what = f"{name} has something else"
        columns[name] = values
    elif act < 0.75:
        types[name] = [
            pa.int8(), pa.float32(), pa.string(), pa.binary(), pa.bool_(), pa.list_(pa.string()), pa.list_(pa.int64()),
            pa.list_(pa.float64()), pa.list_(pa.list_(pa.int64())), pa.struct([("a", pa.int64())]), pa.timestamp("s"),
            pa.null(), pa.decimal128(10, 2), pa.large_list(pa.int8()), pa.list_(pa.int16(), LENGTH), pa.uint64(),
            pa.dictionary(pa.int8(), pa.string()), pa.float16(),
        ][int(rng.integers(18))]  # fmt: skip
        what = f"{name} is {types[name]}"
    elif act < 0.8:
        columns = {key: [] for key in columns}
        what = "no rows"
    elif act < 0.85:
        columns["more"] = [1] * len(next(iter(columns.values())))
        what = "a column more"
    arrays = {}
    for key, values in columns.items():
        try:
            if key in types:
                arrays[key] = _typed(values, types[key])
            else:
                arrays[key] = pa.array(values)
        except (pa.ArrowException, TypeError, ValueError, OverflowError, RecursionError, UnicodeEncodeError):
            arrays[key] = pa.array([None] * len(values))
            what += ", as nulls"
    try:
        text = json.dumps(facts).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        text = b"[" * 5000
    table = pa.table(arrays)
    if rng.random() < 0.95:
        table = table.replace_schema_metadata({b"omsdpm": text})
    pq.write_table(table, path)
    return what


def _typed(values: Any, kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return pa.array([str(one).encode() if pa.types.is_binary(kind) else str(one) for one in values], type=kind)
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        return pa.array([list(map(str, one)) if isinstance(one, list) else [str(one)] for one in values], type=kind)
    return pa.array(values, type=kind)


def _slots_wrong(rows: list[Any], X: np.ndarray, models: int, length: int) -> str | None:
    if len(rows) != len(X):
        return f"{len(rows)} rows in the file, {len(X)} accepted"
    for slots, own in zip(rows, X, strict=True):
        if not isinstance(slots, list) or len(slots) != length:
            return f"{slots!r} is no schedule of {length} slots"
        for slot in slots:
            number = isinstance(slot, (int, float)) and not isinstance(slot, bool) and math.isfinite(slot)
            if not number or slot != int(slot) or not 0 <= slot <= models:
                return f"{slots!r} holds what is no member"
        if list(map(int, slots)) != own.tolist():
            return f"{slots!r} was read as {own.tolist()}"
        if not any(slots):
            return "a schedule calls nobody"
    return None


def _wrong_dataset(path: Path) -> Callable[[Any], str | None]:
    def wrong(got: Any) -> str | None:
        import pyarrow.parquet as pq

        table = pq.ParquetFile(path).read()
        facts = json.loads(table.schema.metadata[b"omsdpm"])
        for key, own in (("solver", got.space.solver), ("num_models", got.space.num_models), ("metric", got.metric),
                         ("length", got.space.length)):  # fmt: skip
            if facts[key] != own or isinstance(facts[key], bool):
                return f"{key} {facts[key]!r} was read as {own!r}"
        if facts.get("extra", {}) != got.extra:
            return "its facts were changed"
        fault = _slots_wrong(table["schedule"].to_pylist(), got.X, got.space.num_models, got.space.length)
        if fault:
            return fault
        for score, own in zip(table["score"].to_pylist(), got.y, strict=True):
            if isinstance(score, bool) or not isinstance(score, (int, float)) or float(score) != own:
                return f"score {score!r} was read as {own}"
        for key, own in (("split", got.split), ("design", got.design)):
            if key in table.column_names:
                said = table[key].to_pylist()
                if any(one is not None and not isinstance(one, str) for one in said):
                    return f"{key} holds what is no word"
                if [one or "" for one in said] != own.tolist():
                    return f"{key} was read otherwise"
        return None

    return wrong


def _wrong_choices(path: Path) -> Callable[[Any], str | None]:
    def wrong(got: Any) -> str | None:
        import pyarrow.parquet as pq

        rows = pq.ParquetFile(path).read().to_pylist()
        if len(rows) != len(got):
            return f"{len(rows)} rows in the file, {len(got)} accepted"
        chosen = [row for row in rows if row["name"]]
        X = np.array([one.schedule for one in got if one.schedule is not None], dtype=int).reshape(-1, LENGTH)
        if fault := _slots_wrong([row["schedule"] for row in chosen], X, MODELS, LENGTH):
            return fault
        for row, one in zip(rows, got, strict=True):
            said = (row["strategy"], row["budget_ms"], row["labels"], row["name"] or None, row["reason"] or None)
            if said != (one.strategy, one.budget, one.labels, one.name, one.reason) or bool(one.name) == bool(
                one.reason
            ):
                return "a row was read otherwise"
            if not math.isfinite(one.budget) or one.budget <= 0 or one.labels < 0 or isinstance(row["labels"], bool):
                return f"a budget of {one.budget} or {row['labels']} labels"
            if one.name and (row["score"], row["scores"]) != (one.score, one.scores.tolist()):
                return "scores were read otherwise"
            if one.name and not all(map(math.isfinite, (one.score, *one.scores))):
                return f"scores {row['scores']!r} are no numbers"
        return None

    return wrong


def _wrong_baselines(path: Path) -> Callable[[Any], str | None]:
    def wrong(got: Any) -> str | None:
        import pyarrow.parquet as pq

        rows = pq.ParquetFile(path).read().to_pylist()
        X = np.array([one.schedule for one in got], dtype=int).reshape(-1, LENGTH)
        fault = _slots_wrong([row["schedule"] for row in rows], X, MODELS, LENGTH)
        if fault:
            return fault
        count = len(rows[0]["scores"]) if rows else 0
        for row, one in zip(rows, got, strict=True):
            if not isinstance(row["name"], str) or not isinstance(row["kind"], str):
                return "a name or kind is no text"
            scores = row["scores"]
            if not isinstance(scores, list) or not scores or len(scores) != count:
                return "scores are no list, or of different lengths"
            if any(isinstance(s, bool) or not isinstance(s, (int, float)) or not math.isfinite(s) for s in scores):
                return f"scores {scores!r} are no numbers"
            if (row["name"], row["kind"], scores) != (one.name, one.kind, one.scores.tolist()):
                return "a row was read otherwise"
        return None

    return wrong
