"""What a benchmark's data were measured with, by content, so that nothing is reused for another measurement."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omsdpm.errors import InputError
from omsdpm.files import write_json
from omsdpm.images import image_paths
from omsdpm.scoring.measurement import DIGITS, Measurement
from omsdpm.zoo.digest import zoo_digest

MEASURED_FILE = "measured.json"
"""In a benchmark's folder: the identity of each of its Parquet files."""

FORMAT = 1
DIGEST_SIZE = 16

USUAL_INCEPTION = "6726825d"
"""How the SHA-256 of pytorch-fid's own weights begins, as the download's name says: giving it changes nothing."""

_OTHER = {
    "members": "other members",
    "noise": "another noise schedule",
    "solver": "another solver, length or spacing",
    "metric": "another metric",
    "reference": "another reference",
    "images": "another number of images",
    "seed": "another seed",
}


def identity(measurement: Measurement) -> dict[str, str]:
    """What scores depend on, each part by its content; paths and names of files are no part of it.

    Raises:
        InputError: a file of the zoo or the reference cannot be read.

    Example:
        >>> sorted(identity(load_benchmark("digits-tab").measurement))[:5]
        ['images', 'member 1', 'member 2', 'member 3', 'member 4']
    """
    digests = zoo_digest(measurement.zoo)
    return {
        **{f"member {number}": digests[str(number)] for number in measurement.numbers},
        "members": json.dumps(list(measurement.numbers)),  # their order is what a schedule's numbers mean
        "noise": digests["noise"],
        "solver": json.dumps({**measurement.space.table(), **asdict(measurement.options)}, sort_keys=True),
        "metric": measurement.metric + _weights(measurement.inception_weights),
        "reference": _reference(measurement.reference),
        "images": str(measurement.images),
        "seed": str(measurement.seed),
    }


def validation_identity(measurement: Measurement, images: int, seeds: tuple[int, ...]) -> dict[str, str]:
    """As :func:`identity`, with a validation's images and seeds for those of the measurement."""
    return {**identity(measurement), "images": str(images), "seed": json.dumps(list(seeds))}


def identity_digest(measurement: Measurement) -> str:
    """All of :func:`identity` in one digest."""
    text = json.dumps(identity(measurement), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_SIZE).hexdigest()


def check_measured(folder: str | Path, part: str, identity: Mapping[str, str], *, noise: bool = True) -> None:
    """Refuses data that were measured otherwise.

    Args:
        folder: of the benchmark.
        part: ``"schedules"``, ``"baselines"`` or ``"repeat"``.
        identity: what they would be measured with now.
        noise: whether the images and the seed have to be the same too.

    Raises:
        InputError: they were measured with something else, or nothing says with what.
    """
    data = Path(folder) / f"{part}.parquet"
    before = _read(Path(folder)).get(part)
    if before is None:
        raise InputError(
            f"{data} does not say what it was measured with (no {MEASURED_FILE} beside it that does): "
            "build in a new folder"
        )
    ignored = () if noise else ("images", "seed")
    differ = [key for key in identity if before.get(key) != identity[key] and key not in ignored]
    if "members" in differ:  # then weights and the solver's number of members differ for that reason alone
        both = {key for key in identity if key in before} - {"solver"}
        differ = [key for key in differ if key in both]
    if differ:
        raise InputError(
            f"{data} was measured with {_in_words(differ)}: build in a new folder, or point [measurement] back"
        )


def remember_measured(folder: str | Path, part: str, identity: Mapping[str, str]) -> None:
    """Notes what a part is measured with; to be called before its Parquet file is first written.

    A kill in between leaves a note without data, which the next build replaces.
    """
    from filelock import FileLock

    folder = Path(folder)
    (folder / "build").mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "build" / "measured.lock", mode=0o666):
        write_json(folder / MEASURED_FILE, {"format": FORMAT, **_read(folder), part: dict(identity)})


def _read(folder: Path) -> dict[str, Any]:
    """The parts that the folder's file knows of; none where there is no file."""
    path = folder / MEASURED_FILE
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}; copy it again, or build in a new folder") from error
    parts = table if isinstance(table, dict) else {}
    if parts.pop("format", None) != FORMAT or not all(isinstance(part, dict) for part in parts.values()):
        raise InputError(f"{path} is not of format {FORMAT}: read it with the version that wrote it")
    return parts


def _in_words(differ: list[str]) -> str:
    members = [key.removeprefix("member ") for key in differ if key.startswith("member ")]
    words = [_OTHER[key] for key in differ if key in _OTHER]
    if members:
        words.insert(0, f"other weights of member{'s' if len(members) > 1 else ''} {', '.join(members)}")
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _reference(reference: str) -> str:
    """The name of the embedded digits; else a digest of the files' bytes."""
    if reference == DIGITS:
        return DIGITS
    path = Path(reference)
    total = hashlib.blake2b(digest_size=DIGEST_SIZE)
    for file in image_paths(path) if path.is_dir() else [path]:
        total.update(_digest(file, "reference"))
    return total.hexdigest()


def _weights(path: str | None) -> str:
    """What a given file with Inception's weights adds to the name of the metric."""
    if path is None or not os.path.exists(path):  # the network says what is wrong with a file that is not there
        return ""
    if _digest(path, "weights", hashlib.sha256).hex().startswith(USUAL_INCEPTION):
        return ""
    return f"[weights={_digest(path, 'weights').hex()}]"


def _digest(path: str | Path, what: str, kind: Any = lambda: hashlib.blake2b(digest_size=DIGEST_SIZE)) -> bytes:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, kind).digest()
    except OSError as error:
        raise InputError(f"cannot read {what} {path}: {error.strerror}; name a file that can be read") from error
