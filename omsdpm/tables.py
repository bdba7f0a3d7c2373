"""Tables that people write, read into pydantic models; what is wrong with one is said in a line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from omsdpm.errors import InputError, unknown_name

Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: str | Path, hint: str) -> dict[str, Any]:
    """A TOML file.

    Args:
        path: where it is.
        hint: what the file is or how to get one, for the error that it cannot be read.

    Raises:
        InputError: it cannot be read or parsed.
    """
    path = Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; {hint}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error


def read_table(model: type[Model], table: Mapping[str, Any], where: str) -> Model:
    """A table as a pydantic model.

    Args:
        model: with ``extra="forbid"``.
        table: as TOML or JSON has it.
        where: the file's name, for errors.

    Raises:
        InputError: the first thing that is wrong, in one line with the path of the key; for a key
            that is unknown, with the nearest first of those that are known.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise InputError(f"{where}: {_line(model, error)}") from error


def _line(model: type[BaseModel], error: ValidationError) -> str:
    # An unknown key explains a lacking one, so it is told first.
    wrongs = sorted(error.errors(), key=lambda wrong: wrong["type"] != "extra_forbidden")
    wrong = wrongs[0]
    path = _path(wrong["loc"])
    if wrong["type"] == "extra_forbidden":
        known = _keys(model, wrong["loc"][:-1])
        parent = _path(wrong["loc"][:-1])
        return str(unknown_name(f"key of [{parent}]" if parent else "key", str(wrong["loc"][-1]), known))
    if wrong["type"] == "missing":
        return f"lacks the key {path!r}"
    if "error" in wrong.get("ctx", {}):
        return f"{path}: {wrong['ctx']['error']}" if path else str(wrong["ctx"]["error"])
    message = wrong["msg"][:1].lower() + wrong["msg"][1:]
    value = " ".join(repr(wrong["input"]).split())
    return f"{path} = {value if len(value) <= 80 else value[:80] + '...'}: {message}"


def _path(loc: tuple[int | str, ...]) -> str:
    """``("member", 0, "folder")`` as ``member[0].folder``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return "".join(parts).removeprefix(".")


def _keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Keys that the table at a place in a model may have, as files spell them."""
    for part in loc:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        if isinstance(part, str) and part in fields:
            model = next(iter(_models(fields[part].annotation)), model)
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation such as ``list[Model] | None`` is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
