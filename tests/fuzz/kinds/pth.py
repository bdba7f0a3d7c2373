"""``.pth`` files of the release: datasets, latencies, schedules, predictors, statistics, checkpoints of zoos."""

from __future__ import annotations

import collections
import io
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.case import Case, Kind, refused
from tests.fuzz.mutations import Rng, changed, damaged, nested
from tests.fuzz.valid import GOLDEN

FILES = (
    "dataset_ddim.pth", "dataset_dpm_solver.pth", "zoo_latency.pth", "searched_ddim.pth",
    "final_population_dpm_solver.pth", "predictor_ddim.pth", "predictor_dpm_solver.pth", "statistic.pth", "ckpt.pth",
)  # fmt: skip


class PthKind(Kind):
    """Files of ``torch.save``."""

    name = ".pth"
    share = 1.5

    def __init__(self, valid: Path) -> None:
        super().__init__(valid)
        import torch

        self.folder = valid / "pth"
        self.folder.mkdir(exist_ok=True)
        rng = np.random.default_rng(0)
        features = rng.normal(size=(20, 6))
        torch.save({"m": features.mean(0), "s": np.cov(features, rowvar=False)}, self.folder / "statistic.pth")
        for name in FILES[:7]:
            shutil.copy(GOLDEN / name, self.folder / name)
        shutil.copy(GOLDEN / "released_zoo" / "2" / "ckpt.pth", self.folder / "ckpt.pth")

    def case(self, rng: Rng, folder: Path) -> Case:
        name = FILES[int(rng.integers(len(FILES)))]
        path = folder / name
        act = rng.random()
        must: str | None = None
        if act < 0.4:
            what, raw = damaged((self.folder / name).read_bytes(), rng)
            path.write_bytes(raw)
        elif act < 0.75:
            what = self._changed(name, path, rng)
        else:
            bombs = list(BOMBS)
            what = bombs[int(rng.integers(len(bombs)))]
            BOMBS[what](path, rng)
            must = "it claims more than it has, or wants what no file of numbers does"
        if name == "ckpt.pth":
            zoo = folder / "zoo"
            shutil.copytree(self.valid / "released_zoo", zoo)
            path = path.replace(zoo / "2" / "ckpt.pth")
        return Case(f"{name}: {what}", path, lambda: _read(name, path), refused(must) if must else _judge(name, path))

    def _changed(self, name: str, path: Path, rng: Rng) -> str:
        import torch

        content = torch.load(self.folder / name, weights_only=False, map_location="cpu")
        with_tensors = name in ("predictor_ddim.pth", "predictor_dpm_solver.pth", "statistic.pth", "ckpt.pth")
        if with_tensors:
            what, content = _tensor_changed(content, rng)
        else:
            plain = _plain(content)
            if isinstance(plain, list) and len(plain) > 8 and name.startswith("dataset"):
                plain = plain[:8]
            what, content = changed(plain, rng)
        try:
            torch.save(content, path, _use_new_zipfile_serialization=bool(rng.random() < 0.8))
        except (RecursionError, UnicodeEncodeError, pickle.PicklingError, OverflowError):
            torch.save(None, path)
        return what


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value


def _tensor_changed(content: Any, rng: Rng) -> tuple[str, Any]:
    """Another tensor in a state dict, or another place for it."""
    import torch

    from tests.fuzz.mutations import array_changed, hostile

    holder = content[-1] if isinstance(content, list) else content
    while not any(hasattr(value, "shape") for value in holder.values()):
        holder = next(value for value in holder.values() if isinstance(value, dict))
    names = [key for key, value in holder.items() if hasattr(value, "shape")]
    name = names[int(rng.integers(len(names)))]
    act = rng.random()
    value = holder[name]
    if act < 0.5:
        what, array = array_changed(np.asarray(value), rng)
        holder[name] = torch.from_numpy(array.copy()) if isinstance(value, torch.Tensor) else array
    elif act < 0.6:
        del holder[name]
        what = "removed"
    elif act < 0.7:
        holder["more"] = value
        what = "one more"
    else:
        holder[name] = hostile(rng)
        what = "replaced"
    return f"{name} {what}", content


def _read(name: str, path: Path) -> Any:
    from omsdpm.fid import Statistics
    from omsdpm.released import load_predictor, read_dataset, read_latency, read_schedules
    from omsdpm.zoo.opening import open_zoo

    if name.startswith("dataset"):
        return read_dataset(path)
    if name.startswith("predictor"):
        return load_predictor(path)
    if name == "zoo_latency.pth":
        return read_latency(path, 6)
    if name == "statistic.pth":
        return Statistics.read(path)
    if name == "ckpt.pth":
        return open_zoo(path.parents[1])
    return read_schedules(path)


def _judge(name: str, path: Path) -> Callable[[Any], str | None]:
    return lambda accepted: _wrong(name, path, accepted)


def _wrong(name: str, path: Path, got: Any) -> str | None:
    """Compares with what ``torch.load`` says of the same file."""
    import torch

    content = torch.load(path, weights_only=False, map_location="cpu")
    if name.startswith("predictor"):
        scores = got.predict(got.space.random(20, np.random.default_rng(0)))
        return None if np.isfinite(scores).all() else "it predicts NaN or infinity"
    if name == "ckpt.pth":
        x = torch.zeros(1, *got.shape)
        return None if torch.isfinite(got.members[1](x, 500)).all() else "its output is not finite"
    if name == "statistic.pth":
        mu, sigma = (np.asarray(content.get(long, content.get(short))) for long, short in (("mu", "m"), ("sigma", "s")))
        same = np.array_equal(mu, got.mu) and np.array_equal(sigma, got.sigma)
        return None if same else "its mean or covariance is another"
    plain = _plain(content)
    if name == "zoo_latency.pth":
        values = (
            plain
            if isinstance(plain, list)
            else next(plain[key] for key in ("ms", "latency_ms", "latency") if key in plain)
        )
        flat = [one[0] if isinstance(one, list) else one for one in values]
        if any(isinstance(one, bool) or not isinstance(one, (int, float)) for one in flat):
            return "an entry is no number"
        if not all(0 <= one < float("inf") for one in flat):
            return "a latency is negative or infinite"
        return None if len(flat) == 6 and np.array_equal(np.array(flat, float), got) else "its latencies are others"
    if name.startswith("dataset"):
        return _wrong_rows(plain, got)
    rows = plain if isinstance(plain[0], (list, dict)) else [plain]
    rows = [one.get("ms", one.get("model_schedule")) if isinstance(one, dict) else one for one in rows]
    return _wrong_slots(rows, got)


def _wrong_rows(plain: Any, got: Any) -> str | None:
    entries = [plain] if isinstance(plain, dict) else plain
    pairs = []
    for entry in entries:
        if isinstance(entry, dict):
            slots = entry.get("model_schedule", entry.get("ms"))
            pairs.append((slots, entry.get("score", entry.get("metric"))))
        else:
            pairs.append((entry[0], entry[1]))
    if len(pairs) != len(got):
        return f"{len(pairs)} rows in the file, {len(got)} accepted"
    for (_, score), own in zip(pairs, got.y, strict=True):
        score = score[0] if isinstance(score, list) and len(score) == 1 else score
        if isinstance(score, bool) or not isinstance(score, (int, float)) or float(score) != own:
            return f"score {score!r} was read as {own}"
    return _wrong_slots([slots for slots, _ in pairs], got.X)


def _wrong_slots(rows: list[Any], X: np.ndarray) -> str | None:
    for slots, own in zip(rows, X, strict=True):
        if any(isinstance(slot, bool) or not isinstance(slot, (int, float)) or slot != int(slot) for slot in slots):
            return f"slots {slots!r} are no member numbers"
        if list(map(int, slots)) != own.tolist():
            return f"slots {slots!r} were read as {own.tolist()}"
    return None


# -- files that grow ------------------------------------------------------------------------------


def _save(value: Any, path: Path) -> None:
    import torch

    torch.save(value, path)


def _meta(path: Path, rng: Rng) -> None:
    import torch

    _save([torch.empty(10**6, 10**6, device="meta"), 1.0], path)


def _expanded(path: Path, rng: Rng) -> None:
    import torch

    _save([torch.zeros(1).expand(10**9), 1.0], path)


def _sparse(path: Path, rng: Rng) -> None:
    import torch

    _save(torch.sparse_coo_tensor(torch.tensor([[0]]), torch.tensor([1.0]), (10**9,)), path)


def _quantized(path: Path, rng: Rng) -> None:
    import torch

    _save({"ms": torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.quint8)}, path)


def _claimed(path: Path, rng: Rng) -> None:
    """A storage that claims terabytes: its number of elements is a number in the pickle."""
    import torch

    torch.save([torch.arange(1000), 1.0], path)
    raw = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(raw)) as archive, zipfile.ZipFile(path, "w") as new:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(".pkl"):
                # BININT2 1000 -> LONG1 of 2^40, as pickle spells it.
                content = content.replace(b"M\xe8\x03", b"\x8a\x06\x00\x00\x00\x00\x00\x01")
            new.writestr(name, content)


def _shared(path: Path, rng: Rng) -> None:
    value: Any = [1.0] * 10
    for _ in range(12):
        value = [value] * 10
    _save(value, path)


def _itself(path: Path, rng: Rng) -> None:
    value: list[Any] = []
    value.append(value)
    _save(value, path)


def _deep(path: Path, rng: Rng) -> None:
    _save(nested(int(rng.integers(70, 300))), path)


def _compressed(path: Path, rng: Rng) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps([0] * 10**6, protocol=2))
        archive.writestr("archive/version", "3\n")


def _zeros(path: Path, rng: Rng) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("archive/data.pkl", "w") as file:
        for _ in range(300):
            file.write(bytes(2**20))


def _codec(path: Path, rng: Rng) -> None:
    raw = b"\x80\x02c_codecs\nencode\nX\x10\x00\x00\x00" + b"a" * 16 + b"X\x03\x00\x00\x00hex\x86R."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", raw)
        archive.writestr("archive/version", "3\n")


class _Runs:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.what = function, arguments

    def __reduce__(self) -> Any:
        return self.what


def _program(path: Path, rng: Rng) -> None:
    import os

    runs = [_Runs(os.system, "touch /tmp/omsdpm-fuzz-was-run"), _Runs(bytearray, 10**12), _Runs(range, 10**12),
            _Runs(collections.deque, "abc"), _Runs(getattr, "a", "upper")]  # fmt: skip
    _save([runs[int(rng.integers(len(runs)))]], path)


def _bare_pickle(path: Path, rng: Rng) -> None:
    path.write_bytes(pickle.dumps({"a": [1, 2]}, protocol=int(rng.integers(0, 5))))


def _module(path: Path, rng: Rng) -> None:
    import torch

    _save(torch.nn.Linear(2, 2), path)


def _encrypted(path: Path, rng: Rng) -> None:
    _save([1, 2], path)
    raw = bytearray(path.read_bytes())
    for at in range(len(raw) - 4):  # the flag of a password, in the local headers and in the directory
        if raw[at : at + 4] == b"PK\x03\x04":
            raw[at + 6] |= 1
        if raw[at : at + 4] == b"PK\x01\x02":
            raw[at + 8] |= 1
    path.write_bytes(bytes(raw))


def _object_array(path: Path, rng: Rng) -> None:
    _save(np.array([{"a": 1}, None], dtype=object), path)


def _put(path: Path, rng: Rng) -> None:
    memo = b"r" + (2**32 - 2 - int(rng.integers(1000))).to_bytes(4, "little")
    raw = b"\x80\x02]" + memo + b"."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", raw)
        archive.writestr("archive/version", "3\n")


BOMBS: dict[str, Callable[[Path, Rng], None]] = {
    "a meta tensor": _meta,
    "an expanded view": _expanded,
    "a sparse tensor": _sparse,
    "a quantized tensor": _quantized,
    "a storage of terabytes": _claimed,
    "shared references": _shared,
    "a list that holds itself": _itself,
    "deep": _deep,
    "a compressed archive": _compressed,
    "an archive of zeros": _zeros,
    "a codec": _codec,
    "a program": _program,
    "a bare pickle": _bare_pickle,
    "a module": _module,
    "an encrypted archive": _encrypted,
    "an array of objects": _object_array,
    "a far memo": _put,
}
"""Files that claim more than they have, or want what no file of numbers needs."""
