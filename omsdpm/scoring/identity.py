"""What a benchmark's data were measured with, by content, so that nothing is reused for another measurement."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from omsdpm.errors import InputError
from omsdpm.files import write_json
from omsdpm.scoring.measurement import Measurement
from omsdpm.scoring.metrics.opening import metric_identity, takes_reference
from omsdpm.scoring.reference import reference_digest
from omsdpm.tables import read_json, read_table
from omsdpm.zoo.digest import zoo_digest

MEASURED_FILE = "measured.json"
"""In a benchmark's folder: the identity of each of its Parquet files."""

FORMAT = 1
DIGEST_SIZE = 16

OPTIONAL = ("features", "labels", "prompts", "guidance", "dtype", "pipeline")
"""Parts that only some measurements have."""

_OTHER = {
    "members": "other members",
    "noise": "another noise schedule",
    "solver": "another solver, length or spacing",
    "metric": "another metric",
    "features": "another feature network",
    "labels": "other labels",
    "prompts": "other prompts",
    "guidance": "another guidance",
    "dtype": "another precision of the members",
    "pipeline": "another VAE or other text encoders",
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
        **metric_identity(measurement.metric),
        "reference": reference_digest(measurement.reference) if takes_reference(measurement.metric) else "none",
        "images": str(measurement.images),
        "seed": str(measurement.seed),
        **_conditions(measurement, digests),
    }


def _conditions(measurement: Measurement, digests: Mapping[str, str]) -> dict[str, str]:
    """What only some measurements say: conditions, and a precision that is not the members' own."""
    prompts = measurement.read_prompts()
    parts = {
        "labels": measurement.labels,
        "prompts": None if prompts is None else [list(prompts), measurement.negative_prompt],
        "guidance": measurement.guidance,
        "dtype": measurement.dtype,
    }
    said = {key: json.dumps(part) for key, part in parts.items() if part is not None}
    return {**said, **({"pipeline": digests["pipeline"]} if "pipeline" in digests else {})}


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
        part: ``"schedules"``, ``"repeat"``, ``"baselines"``, ``"labels"``, ``"strategies"`` or ``"report"``.
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
    # What either has not, as labels where there are none, differs too.
    keys = [*identity, *(key for key in before if key not in identity)]
    differ = [key for key in keys if before.get(key) != identity.get(key) and key not in ignored]
    if "members" in differ:  # then weights and the solver's number of members differ for that reason alone
        both = {key for key in keys if (key in before and key in identity) or key in OPTIONAL} - {"solver"}
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
    if not path.exists():
        return {}
    hint = "copy it again, or build in a new folder"
    table = read_json(path, hint)
    parts = table if isinstance(table, dict) else {}
    if type(version := parts.pop("format", None)) is not int or version != FORMAT:
        raise InputError(f"{path} is not of format {FORMAT}: read it with the version that wrote it")
    try:
        return read_table(MeasuredTable, parts, str(path)).model_dump(exclude_none=True)
    except InputError as error:
        raise InputError(f"{error}; {hint}") from error


class MeasuredTable(BaseModel):
    """The parts of ``measured.json``: what each of a benchmark's Parquet files was measured with."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    schedules: dict[str, str] | None = None
    baselines: dict[str, str] | None = None
    repeat: dict[str, str] | None = None
    report: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    strategies: dict[str, str] | None = None


def _in_words(differ: list[str]) -> str:
    members = [key.removeprefix("member ") for key in differ if key.startswith("member ")]
    words = [_OTHER[key] for key in differ if key in _OTHER]
    if members:
        words.insert(0, f"other weights of member{'s' if len(members) > 1 else ''} {', '.join(members)}")
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
