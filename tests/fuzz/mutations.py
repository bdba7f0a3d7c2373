"""Random damage: to bytes, to plain values, and to arrays; all of it drawn from a generator with a seed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Rng = np.random.Generator

HUGE_DIGITS = 5000
DEEP = 20_000


def damaged(raw: bytes, rng: Rng) -> tuple[str, bytes]:
    """What was done to the bytes, and what came of it."""
    kinds = [_empty, _truncated, _flipped, _overwritten, _zeroed, _cut_out, _doubled, _appended, _noise]
    weights = np.array([1, 4, 6, 4, 2, 3, 2, 2, 1], dtype=float)
    act = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
    return act.__name__.strip("_"), act(raw, rng)


def _place(raw: bytes, rng: Rng) -> int:
    # Half of all damage goes where headers are, at either end.
    if not raw:
        return 0
    near = min(len(raw), 512)
    kind = int(rng.integers(4))
    if kind == 0:
        return int(rng.integers(near))
    if kind == 1:
        return len(raw) - 1 - int(rng.integers(near))
    return int(rng.integers(len(raw)))


def _empty(raw: bytes, rng: Rng) -> bytes:
    return b""


def _truncated(raw: bytes, rng: Rng) -> bytes:
    return raw[: _place(raw, rng)]


def _flipped(raw: bytes, rng: Rng) -> bytes:
    content = bytearray(raw)
    for _ in range(int(rng.integers(1, 5))):
        if content:
            content[_place(raw, rng)] ^= 1 << int(rng.integers(8))
    return bytes(content)


def _overwritten(raw: bytes, rng: Rng) -> bytes:
    content, at = bytearray(raw), _place(raw, rng)
    size = int(rng.integers(1, 17))
    content[at : at + size] = rng.bytes(size)
    return bytes(content)


def _zeroed(raw: bytes, rng: Rng) -> bytes:
    at, size = _place(raw, rng), int(rng.integers(1, 257))
    return raw[:at] + bytes(len(raw[at : at + size])) + raw[at + size :]


def _cut_out(raw: bytes, rng: Rng) -> bytes:
    at, size = _place(raw, rng), int(rng.integers(1, 65))
    return raw[:at] + raw[at + size :]


def _doubled(raw: bytes, rng: Rng) -> bytes:
    at, size = _place(raw, rng), int(rng.integers(1, 257))
    return raw[: at + size] + raw[at : at + size] + raw[at + size :]


def _appended(raw: bytes, rng: Rng) -> bytes:
    return raw + rng.bytes(int(rng.integers(1, 257)))


def _noise(raw: bytes, rng: Rng) -> bytes:
    return rng.bytes(int(rng.integers(1, 2049)))


def hostile(rng: Rng) -> Any:
    """A plain value that seldom belongs where it is put."""
    makers: list[Callable[[], Any]] = [
        lambda: None,
        lambda: True,
        lambda: False,
        lambda: "",
        lambda: "half",
        lambda: "1",
        lambda: "../../x",
        lambda: "x" * 10_000,
        lambda: "\x00\u202e\ud7ff",
        lambda: 0,
        lambda: -1,
        lambda: 1,
        lambda: 2,
        lambda: 1.5,
        lambda: -0.5,
        lambda: 0.5,
        lambda: 1e-320,
        lambda: 1e308,
        lambda: float("inf"),
        lambda: float("-inf"),
        lambda: float("nan"),
        lambda: 2**31,
        lambda: 2**63 - 1,
        lambda: 2**63,
        lambda: 10**30,
        lambda: int("9" * HUGE_DIGITS, 16),
        lambda: [],
        lambda: [10],
        lambda: [1, 2],
        lambda: [0.2, 0.1],
        lambda: ["a", "b"],
        lambda: [[1, 2], [3]],
        lambda: [None],
        lambda: list(range(2000)),
        lambda: {},
        lambda: {"a": 1},
        lambda: {"name": "x", "kind": "y"},
        lambda: nested(int(rng.integers(3, 200))),
    ]
    return makers[int(rng.integers(len(makers)))]()


def nested(depth: int) -> Any:
    """Lists within lists."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all values within plain ones, themselves but for the root."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def changed(value: Any, rng: Rng, hostile: Callable[[Rng], Any] = hostile) -> tuple[str, Any]:
    """What was done to a plain value, and what came of it; one change, sometimes two."""
    words = []
    value = copy.deepcopy(value)
    for _ in range(1 + (rng.random() < 0.15)):
        word, value = _changed(value, rng, hostile)
        words.append(word)
    return ", ".join(words), value


def _changed(value: Any, rng: Rng, hostile: Callable[[Rng], Any]) -> tuple[str, Any]:
    paths = list(places(value))
    if not paths or rng.random() < 0.02:
        return "root replaced", hostile(rng)
    path = paths[int(rng.integers(len(paths)))]
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    key, shown = path[-1], ".".join(map(str, path))
    act = rng.choice(["replace", "replace", "replace", "remove", "add", "rename", "repeat", "nudge"])
    if act == "nudge" and isinstance(holder[key], (int, float)) and not isinstance(holder[key], bool):
        step = [1, -1, 0.5, -holder[key], 1000, holder[key] * 1e6][int(rng.integers(6))]
        holder[key] = holder[key] + step
        return f"{shown} {step:+g}", value
    if act == "remove":
        del holder[key]
        return f"{shown} removed", value
    if act in ("add", "rename") and isinstance(holder, dict):
        name = f"{key}x" if rng.random() < 0.5 else "unknown"
        holder[name] = holder.pop(key) if act == "rename" else hostile(rng)
        return f"{shown}: {act} {name}", value
    if act == "repeat" and isinstance(holder, list):
        holder.insert(int(rng.integers(len(holder) + 1)), copy.deepcopy(holder[key]))
        return f"{shown} repeated", value
    holder[key] = hostile(rng)
    return f"{shown} = {short(holder[key])}", value


def short(value: Any) -> str:
    """A value in a few letters, for reports."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**30:
        return f"an integer of {value.bit_length()} bits"
    try:
        text = repr(value)
    except RecursionError:
        return "deep"
    return text if len(text) < 40 else f"{text[:36]} ..."


def array_changed(array: np.ndarray, rng: Rng) -> tuple[str, np.ndarray]:
    """An array of another shape, type or content, and what was done."""
    acts: list[tuple[str, Callable[[], np.ndarray]]] = [
        ("transposed", lambda: array.T),
        ("flattened", lambda: array.reshape(-1)),
        ("one row less", lambda: array[:-1] if array.ndim else array.reshape(1)),
        ("one row more", lambda: np.concatenate([array, array[-1:]]) if array.ndim and len(array) else array[None]),
        ("one dimension more", lambda: array[None]),
        ("empty", lambda: array.reshape(-1)[:0]),
        ("one number", lambda: array.reshape(-1)[:1].reshape(())),
        ("columns cut", lambda: array[..., :1] if array.ndim else array),
        ("float64", lambda: array.astype(np.float64)),
        ("float16", lambda: array.astype(np.float16)),
        ("int64", lambda: np.nan_to_num(array.astype(np.float64), posinf=0, neginf=0).astype(np.int64)),
        ("bool", lambda: array.astype(bool)),
        ("NaN", lambda: _filled(array, np.nan, rng)),
        ("infinite", lambda: _filled(array, np.inf, rng)),
        ("random whole numbers", lambda: rng.integers(-(2**31), 2**31, array.shape).astype(array.dtype)),
        ("one number random", lambda: _filled(array, float(rng.integers(-(2**31), 2**31)), rng)),
        ("negative", lambda: -array if array.dtype != bool else ~array),
    ]
    word, act = acts[int(rng.integers(len(acts)))]
    with np.errstate(all="ignore"):
        return word, np.ascontiguousarray(act())


def _filled(array: np.ndarray, value: float, rng: Rng) -> np.ndarray:
    filled = array.copy()
    if not filled.size:
        return filled
    if filled.dtype.kind != "f" and not np.isfinite(value):
        filled = filled.astype(np.float64)
    filled.reshape(-1)[int(rng.integers(filled.size))] = (
        value if filled.dtype.kind == "f" else int(value) % 2**31 if filled.dtype.itemsize > 2 else int(value) % 100
    )
    return filled


def json_damaged(path: Path, rng: Rng) -> str:
    """Damages a JSON file, as bytes or as what it says, and tells how."""
    raw = path.read_bytes()
    if rng.random() < 0.35:
        what, raw = damaged(raw, rng)
        path.write_bytes(raw)
        return what
    what, table = changed(json.loads(raw), rng)
    try:
        path.write_text(json.dumps(table), encoding="utf-8", errors="surrogatepass")
    except (ValueError, RecursionError):  # an integer that JSON writers refuse
        path.write_text("[" * 5000 + "1" + "0" * 5000 + "]" * 5000)
    return what
