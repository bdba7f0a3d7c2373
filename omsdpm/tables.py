"""Tables that people write, read into pydantic models; what is wrong with one is a single line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from omsdpm.errors import InputError

Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: str | Path, hint: str) -> dict[str, Any]:
    """A TOML file."""
    path = Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; {hint}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error


def read_table(model: type[Model], table: Mapping[str, Any], where: str) -> Model:
    """A table as a model."""
    try:
        return model.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(map(str, first["loc"]))
        raise InputError(f"{where}: {path}: {first['msg']}") from error
