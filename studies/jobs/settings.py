"""What a job is asked to do: fields declared once, which make option, JSON and command line.

A settings class is a frozen pydantic model whose fields are made by :func:`option`::

    class RunSettings(Settings):
        \"\"\"Fit a predictor and search on it.\"\"\"

        words = ("run",)
        seeds: int = option(3, ge=1, help="Seeds of fresh noise.")

That line is all there is to ``--seeds``: the command line reads it
(:func:`studies.cli._settings.click_options`), ``as_dict`` writes it, ``command`` repeats it,
and a wrong value is refused in one line that names it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_serializer, model_validator
from pydantic_core import PydanticUndefined

from omsdpm.errors import InputError, one_line, unknown_name
from omsdpm.plugins import split_list
from studies.jobs.naming import text_of

PROGRAM = "omsdpm-bench"


@dataclass(frozen=True)
class Option:
    """How a field is given on a command line.

    Attributes:
        help: one sentence.
        flags: its names there; empty for ``--the-field``.
        metavar: what stands for the value in the help.
        default: the default in words, where the value itself says nothing.
        choices: gives the values to choose from.
        separator: between several values given in one word; ``""`` where the option is repeated.
        topic: options of one topic stand together in the help.
        argument: given by its place instead of by a name.
        repeats: part of the command that repeats the job; where results go is not.
        file: a path that must be no folder.
    """

    help: str
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    default: str | None = None
    choices: Callable[[], Collection[str]] | None = None
    separator: str = ""
    topic: str = ""
    argument: bool = False
    repeats: bool = True
    file: bool = False


def option(
    default: Any = PydanticUndefined,
    *,
    help: str,
    flags: Sequence[str] = (),
    metavar: str | None = None,
    shown: str | None = None,
    choices: Callable[[], Collection[str]] | None = None,
    separator: str = "",
    topic: str = "",
    argument: bool = False,
    repeats: bool = True,
    file: bool = False,
    **constraints: Any,
) -> Any:
    """A field of :class:`Settings`; without a default it must be given.

    Args:
        default: its value where nothing is said.
        help, flags, metavar, choices, separator, topic, argument, repeats, file: see :class:`Option`.
        shown: the default in words, where the value itself says nothing.
        **constraints: pydantic's, as ``ge=1``.
    """
    spec = Option(help, tuple(flags), metavar, shown, choices, separator, topic, argument, repeats, file)
    return Field(default, json_schema_extra={"option": spec}, **constraints)  # type: ignore[dict-item]


class Settings(BaseModel):
    """All parameters of a job, as given; the class docstring is the command's help.

    Raises:
        InputError: an unknown field, or a value that a field does not take.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    words: ClassVar[tuple[str, ...]] = ()
    """The command, as in ``("predictor", "fit")``."""

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise self._refusal(error) from None

    @classmethod
    def options(cls) -> dict[str, Option]:
        """The options of all fields by field; a class's own come before those it inherits."""
        inherited = {name for base in cls.__bases__ for name in getattr(base, "model_fields", {})}
        options: dict[str, Option] = {}
        for name, field in sorted(cls.model_fields.items(), key=lambda item: item[0] in inherited):
            extra = field.json_schema_extra
            assert isinstance(extra, dict) and isinstance(extra["option"], Option), f"{name} is no option()"
            options[name] = extra["option"]
        return options

    @classmethod
    def flags(cls, name: str) -> tuple[str, ...]:
        """The names of a field's option: ``("--train-size",)``."""
        return cls.options()[name].flags or ("--" + name.replace("_", "-"),)

    @classmethod
    def flag(cls, name: str) -> str:
        """What errors call a field: its option's longest name, or an argument's metavar."""
        spec = cls.options()[name]
        return spec.metavar or name.upper() if spec.argument else max(cls.flags(name), key=len)

    @model_validator(mode="before")
    @classmethod
    def _split(cls, given: Any) -> Any:
        """Values that were given as one word: ``"a,b[c=1,d=2]"`` as two."""
        given = dict(given)
        for name, spec in cls.options().items():
            if spec.separator and isinstance(given.get(name), str):
                try:
                    given[name] = split_list(given[name])
                except InputError as error:
                    raise InputError(f"{cls.flag(name)} {error}") from error
        return given

    @model_validator(mode="after")
    def _chosen(self) -> Self:
        for name, spec in self.options().items():
            value = getattr(self, name)
            if spec.choices is not None and value is not None and value not in (known := spec.choices()):
                raise unknown_name(self.flag(name).lstrip("-"), str(value), known)
        return self

    def applies(self, name: str) -> bool:
        """Whether a field means anything with these settings; others are in neither JSON nor command."""
        return True

    @model_serializer
    def as_dict(self) -> dict[str, Any]:
        """The parameters as JSON takes them; objects by the text that names them."""
        return {name: _plain(getattr(self, name)) for name in type(self).model_fields if self.applies(name)}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Self:
        """The settings that :meth:`as_dict` wrote.

        Raises:
            InputError: a field that this version does not have, or a value that it does not take.
        """
        return cls(**table)

    def command(self) -> str:
        """The command line that repeats the job; results of a run go to a new place."""
        words = [PROGRAM, *self.words]
        for name, spec in self.options().items():
            value = getattr(self, name)
            if spec.repeats and self.applies(name):
                words += _words(value, type(self).model_fields[name].default, spec, self.flags(name)[0])
        return shlex.join(words)

    @classmethod
    def _refusal(cls, error: ValidationError) -> InputError:
        """The first of pydantic's complaints in one line."""
        first = error.errors()[0]
        inner = first.get("ctx", {}).get("error")
        if isinstance(inner, InputError):
            return inner
        name = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            return unknown_name(f"setting of {' '.join(cls.words)}", name, cls.model_fields)
        if name not in cls.model_fields:
            return InputError(one_line(error))
        if first["type"] == "missing":
            return InputError(f"{cls.flag(name)} is lacking: {cls.options()[name].help}")
        message = first["msg"][0].lower() + first["msg"][1:]
        return InputError(f"{cls.flag(name)} {_short(first['input'])}: {message}")


def _plain(value: Any) -> Any:
    """A value as JSON takes it."""
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, Path):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else text_of(value)


def _words(value: Any, default: Any, spec: Option, flag: str) -> list[str]:
    """What gives a field its value on a command line."""
    if value is None or value == ():
        return []
    if isinstance(value, bool):
        return [flag] if value != default else []
    values = value if isinstance(value, tuple) else (value,)
    words = [_word(part) for part in values]
    if spec.argument:
        return words
    if spec.separator:
        return [flag, spec.separator.join(words)]
    return [word for part in words for word in (flag, part)]


def _word(value: Any) -> str:
    if isinstance(value, float):
        short = f"{value:.12g}"
        return short if float(short) == value else repr(value)
    return str(_plain(value))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
