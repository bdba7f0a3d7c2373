"""Commented scaffolds of ``zoo.toml`` and ``benchmark.toml``, from the declarations that check these files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from omsdpm.errors import InputError
from omsdpm.files import replacing, writable_folder
from studies.reference import default_text, meanings_of, toml_text, type_text

Table = tuple[str, type[BaseModel], Mapping[str, Any]]
"""Heading, declaration and the values that a scaffold gives."""


def _zoo() -> tuple[str, list[Table]]:
    from omsdpm.networks.unet2d import UNet2DTable
    from omsdpm.noise.linear import LinearBetas
    from omsdpm.tables import model_of
    from omsdpm.zoo.files import ImagesTable

    return "zoo.toml", [
        ("[zoo]", ImagesTable, {"name": "mine", "image_size": 32, "channels": 3}),
        ("[noise]", model_of(LinearBetas), {}),
        ("[[member]]", UNet2DTable, {"folder": "small"}),
        ("[[member]]", UNet2DTable, {"folder": "large"}),
    ]


def _benchmark() -> tuple[str, list[Table]]:
    from omsdpm.dataset.recipe import BenchmarkTable, RandomRound, ValidationTable
    from omsdpm.scoring.measurement import MeasurementTable

    return "benchmark.toml", [
        ("", BenchmarkTable, {"name": "mine", "summary": "what it is", "budgets": [100.0]}),
        ("[measurement]", MeasurementTable, {"zoo": "../zoo", "solver": "ddim", "length": 20}),
        ("[validation]", ValidationTable, {}),
        ("[[round]]", RandomRound, {"name": "train", "design": "random", "n": 1000, "split": "train"}),
    ]


SCAFFOLDS = {"zoo": _zoo, "benchmark": _benchmark}


def write_scaffold(kind: str, folder: Path) -> Path:
    """Writes the file of a kind into a folder and returns its path.

    Raises:
        InputError: another is there already, or the folder cannot be written.
    """
    name, tables = SCAFFOLDS[kind]()
    path, text = folder / name, "\n".join(_lines(tables)) + "\n"
    if path.is_file() and path.read_bytes() == text.encode():
        return path  # as a command that was stopped at its end leaves it
    if path.exists():
        raise InputError(f"{path} exists: name another folder")
    writable_folder(folder)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _lines(tables: list[Table]) -> Iterator[str]:
    yield "# Keys that begin with # have the value that they show where nobody gives one; see docs/reference.md."
    for heading, model, given in tables:
        yield ""
        if heading:
            yield heading
        meanings = meanings_of(model)
        for name, field in model.model_fields.items():
            key = field.alias or name
            if not _is_table(field):
                meaning = meanings.get(key, meanings.get(name, ""))
                kind = type_text(field.annotation, field.metadata)
                yield from _key(key, field, given, " ".join(f"{kind}: {meaning}".split()).rstrip(": "))


def _is_table(field: FieldInfo) -> bool:
    return "table" in type_text(field.annotation, field.metadata)


def _key(key: str, field: FieldInfo, given: Mapping[str, Any], comment: str) -> Iterator[str]:
    yield f"# {comment}"
    if key in given:
        yield f"{key} = {toml_text(given[key])}"
    else:
        default = default_text(field).strip("`")
        yield f"# {key} = {default if default != 'none' else '...'}"
