"""Tables that people write: from TOML to a pydantic model, and what is wrong with them in one line."""

from __future__ import annotations

import datetime
import inspect
import json
import os
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from omsdpm.errors import InputError, unknown_name
from omsdpm.files import regular_file

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

    Model = TypeVar("Model", bound=BaseModel)

LARGEST = 2**24
"""Bytes of a file that people write."""

DATE = "date or time"
"""Key under which models find a date of TOML, which is no text."""

LONGEST = 60
"""Letters of a value that a message repeats."""

EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a table",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a table",
    "path_type": "a path",
    "string_type": "text",
    "tuple_type": "a list",
}
"""Pydantic's names of errors in the words of TOML; it says the others itself."""


def read_toml(path: str | os.PathLike[str], hint: str) -> dict[str, Any]:
    """The table of a TOML file, in UTF-8 with or without a byte-order mark.

    Args:
        path: the file.
        hint: what to do where it cannot be read, for the error.

    Raises:
        InputError: it cannot be read, or is not TOML; the message has the line and column.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_dir():
            path = regular_file(path, hint)
            if path.stat().st_size > LARGEST:
                raise InputError(f"{path} has {path.stat().st_size} bytes: expected {LARGEST} at most; {hint}")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; {hint}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not TOML: {_one_line(str(error))}") from error


def read_json(path: str | os.PathLike[str], hint: str, largest: int = LARGEST, *, infinite: bool = False) -> Any:
    """The value of a JSON file that a program wrote: UTF-8, and no NaN or infinity, which are no JSON.

    Args:
        path: the file.
        hint: what to do where it cannot be read, for the error.
        largest: bytes that it may have.
        infinite: whether it may say them all the same, as configurations of diffusers do.

    Raises:
        InputError: it cannot be read, is larger, or is not JSON.
    """
    path = regular_file(path, hint)
    try:
        if (size := path.stat().st_size) > largest:
            raise InputError(f"{path} has {size} bytes: expected {largest} at most; {hint}")
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=float if infinite else _no_number)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; {hint}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {_one_line(str(error))}; {hint}") from error


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def read_table(model: type[Model], table: Mapping[str, Any], where: str) -> Model:
    """The model that a table describes.

    Types are as strict as in a file: ``"5"``, ``5.0`` and ``true`` are no whole number; a list may be
    a tuple of the model, and text a path.

    Args:
        model: a pydantic model, with ``extra="forbid"`` so that a misspelled key is not passed over.
        table: what a TOML or JSON file says.
        where: the file, or another origin that the reader of an error knows.

    Raises:
        InputError: what is wrong with the table, as :func:`table_error` says it.

    Example:
        >>> read_table(Linear, {"beta_strat": 1e-4}, "zoo.toml [noise]")
        Traceback (most recent call last):
        omsdpm.errors.InputError: zoo.toml [noise]: unknown key 'beta_strat'; choose one of: beta_start, ...
    """
    from pydantic import ValidationError

    if not isinstance(table, Mapping):
        raise InputError(f"{where}: {_shown(table)} is no table of keys and values")
    try:
        text = json.dumps(dict(table), default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{where}: {_one_line(str(error))}") from error
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise table_error(error, model, where) from error


def model_of(
    thing: Callable[..., Any], without: Collection[str] = (), given: Mapping[str, Any] | None = None
) -> type[BaseModel]:
    """The model of a table whose keys are what a class or function takes by keyword.

    Args:
        thing: its parameters have annotations, which are those of the fields where it is a dataclass.
        without: parameters that are no keys.
        given: annotations instead of its own, for what a table says otherwise.
    """
    from pydantic import ConfigDict, create_model

    annotated = thing.__init__ if inspect.isclass(thing) and not is_dataclass(thing) else thing
    hints = {**get_type_hints(annotated, include_extras=True), **(given or {})}
    fields: dict[str, Any] = {
        name: (hints.get(name, Any), ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in inspect.signature(thing).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY) and name not in without
    }
    return create_model(thing.__name__, __config__=ConfigDict(extra="forbid", allow_inf_nan=False), **fields)


def table_error(error: ValidationError, model: type[BaseModel], where: str) -> InputError:
    """One line for what pydantic found: the key with its path, the value, what was expected.

    Of several errors it tells an unknown key first, for a key that is lacking is often one that
    was misspelled. Items of lists are numbered from 1: ``member#2.folder``.

    Args:
        error: what validating ``model`` raised.
        model: where known keys are looked up.
        where: as in :func:`read_table`.
    """
    problems = error.errors(include_url=False)
    first = next((one for one in problems if one["type"] == "extra_forbidden"), problems[0])
    if first["type"] == "extra_forbidden":
        table, models = _walk(model, first["loc"][:-1])
        known = (key for holder in models for key in _keys(holder))
        inside = f"{where}: {table}" if table else where
        return InputError(f"{inside}: {unknown_name('key', str(first['loc'][-1]), dict.fromkeys(known))}")
    path, _ = _walk(model, first["loc"])
    if first["type"] == "missing":
        return InputError(f"{where} lacks the key {path!r}")
    if first["type"] == "union_tag_not_found":
        key = first["ctx"]["discriminator"].strip("'")
        return InputError(f"{where} lacks the key {'.'.join(filter(None, (path, key)))!r}")
    prefix = f"{where}: {path}" if path else where
    if first["type"] == "value_error":  # a validator of ours, which says itself what it wants
        return InputError(f"{prefix}: {_one_line(str(first['ctx']['error']))}")
    if first["type"] == "union_tag_invalid":
        tags = first["ctx"]["expected_tags"].replace("'", "").split(", ")
        name = first["ctx"]["discriminator"].strip("'")
        return InputError(f"{prefix}: {unknown_name(name, first['ctx']['tag'], tags)}")
    # Where several types will do there is an error for each.
    expected = dict.fromkeys(_expected(one) for one in problems if _walk(model, one["loc"])[0] == path)
    return InputError(f"{prefix} = {_shown(first['input'])}, expected {' or '.join(expected)}")


def _expected(error: Mapping[str, Any]) -> str:
    return EXPECTED.get(error["type"]) or re.sub(r"^\w+ should (be |have )?", "", _one_line(error["msg"]))


def _walk(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[str, list[type[BaseModel]]]:
    """The path of keys that a place in pydantic's terms is, and the models that may stand there."""
    path, here = "", [model]
    for part in loc:
        types = [one for annotation in here for one in _alternatives(annotation)]
        if isinstance(part, int):
            path += f"#{part + 1}"
            here = [one for kind in types if get_origin(kind) in (list, tuple) for one in get_args(kind)]
            continue
        within = [kind.model_fields[_keys(kind)[part]].annotation for kind in types if part in _keys(kind)]
        within += [get_args(kind)[-1] for kind in types if get_origin(kind) in (dict, Mapping)]
        if within:
            path += f".{part}" if path else part
            here = within
        elif branch := [kind for kind in types if getattr(kind, "__name__", "") == part or part in _tags(kind)]:
            here = branch  # of a union, by the name of the class or its tag
        else:
            here = types
            if part.isidentifier():  # a key of a table whose model its own content chose; not the step of a validator
                path += f".{part}" if path else part
    return path, [one for annotation in here for one in _alternatives(annotation) if _keys(one)]


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The members of unions, without what ``Annotated`` adds."""
    if get_origin(annotation) is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for one in get_args(annotation):
            yield from _alternatives(one)
    else:
        yield annotation


def _keys(kind: Any) -> dict[str, str]:
    """Names of fields by the keys that files have for them; none where ``kind`` is no model."""
    fields = getattr(kind, "model_fields", {}) if isinstance(kind, type) else {}
    return {field.alias or name: name for name, field in fields.items()}


def _tags(kind: Any) -> set[Any]:
    """Values of the literals of a model, by which a union tells its members apart."""
    annotations = [kind.model_fields[name].annotation for name in _keys(kind).values()]
    return {tag for one in annotations if get_origin(one) is Literal for tag in get_args(one)}


def _plain(value: Any) -> Any:
    """NumPy values, dates and paths of TOML and of callers as JSON knows them."""
    if isinstance(value, (datetime.date, datetime.time)):
        return {DATE: value.isoformat()}  # which is no text where text belongs
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{_shown(value)} has no place in a table")


def _shown(value: Any) -> str:
    if isinstance(value, Mapping) and set(value) == {DATE}:
        return str(value[DATE])
    text = _one_line(repr(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def _one_line(text: str) -> str:
    return " ".join(text.split())
