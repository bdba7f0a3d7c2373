"""Results as JSON files that say their kind and format, and are read back."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from omsdpm.errors import InputError, one_line
from omsdpm.files import write_json
from omsdpm.tables import read_json

LARGEST = 2**28
"""Bytes of a result; one of ten thousand schedules has a few million."""


class Record(BaseModel):
    """A part of a result: plain values, which compare and go to JSON as they are."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Result(Record):
    """What a job brought; equal when all of it is.

    A subclass has the job's ``settings`` as a field.
    """

    KIND: ClassVar[str]
    """The job."""

    FORMAT: ClassVar[int] = 1
    """Version of the file."""

    READ: ClassVar[tuple[int, ...]] = ()
    """Versions that are read; empty for the file's own alone."""

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON takes it."""
        settings = getattr(self, "settings", None)
        command = {} if settings is None else {"command": settings.command()}
        return {"format": self.FORMAT, "kind": self.KIND, **command, **self.model_dump(mode="json")}

    def write(self, path: str | Path) -> None:
        """Writes the result as JSON, atomically.

        Raises:
            InputError: the folder cannot be written.
        """
        write_json(path, self.as_dict())

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """The result that :meth:`write` wrote.

        Raises:
            InputError: no such file, another kind of result, or one of another format.
        """
        table = read_table(Path(path), cls.KIND, cls.READ or (cls.FORMAT,))
        values = {key: value for key, value in table.items() if key not in ("format", "kind", "command")}
        try:
            result = cls.model_validate(values)
            check_written(path, table, result.as_dict())
            return result
        except InputError as error:
            raise InputError(f"{path} is damaged: {error}") from error
        except ValidationError as error:
            raise damaged(path, error) from error


def read_table(path: Path, kinds: str | tuple[str, ...], formats: tuple[int, ...]) -> dict[str, Any]:
    """A result file's content, known to be of a kind, or one of several, and of a format that can be read.

    Raises:
        InputError: no such file, something else, or another format; says which, and what to do.
    """
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    kind = "` or `omsdpm-bench ".join(kinds)
    table = read_json(path, "name a result that `omsdpm-bench` wrote", LARGEST)
    if not isinstance(table, dict) or not isinstance(table.get("format"), int):
        raise InputError(f"{path} is no result: it says no format; name what `omsdpm-bench {kind}` wrote")
    if table.get("kind", kinds[0]) not in kinds:
        raise InputError(f"{path} is a result of {table['kind']}: expected one of `omsdpm-bench {kind}`")
    given, known = table["format"], " and ".join(map(str, formats))
    if given not in formats:
        mend = "upgrade omsdpm" if given > max(formats) else "repeat it"
        raise InputError(
            f"{path} is a result of {table.get('kind', kinds[0])} in format {given}: "
            f"this version reads format {known}; {mend}"
        )
    return table


def check_written(path: str | Path, said: Any, back: Any) -> None:
    """Refuses a result that would be written back otherwise: it holds what nobody wrote, or of another type.

    What follows from a result is computed anew when it is read, to the last digits or nearly; what only
    newer versions write may be lacking. The command is what the version that reads it would give.

    Args:
        path: for the error.
        said: what the file says.
        back: what it would say if it were written now.

    Raises:
        InputError: names the key.
    """
    without = {key: value for key, value in said.items() if key not in ("command", "format")}
    if (place := _difference(without, back)) is not None:
        raise InputError(f"{place} is not what a job writes")


def _difference(said: Any, back: Any) -> str | None:
    """Where two values of JSON differ first, as ``winners#2.latency``; ``None`` where they do not."""
    if isinstance(said, dict) and isinstance(back, dict):
        for key, value in said.items():
            if key not in back:
                return str(key)
            if (place := _difference(value, back[key])) is not None:
                return str(key) if not place else f"{key}{'' if place.startswith('#') else '.'}{place}"
        return None
    if isinstance(said, list) and isinstance(back, (list, tuple)):
        if len(said) != len(back):
            return ""
        for number, (one, other) in enumerate(zip(said, back, strict=True), start=1):
            if (place := _difference(one, other)) is not None:
                return f"#{number}{'.' if place and not place.startswith('#') else ''}{place}"
        return None
    if isinstance(said, bool) or isinstance(back, bool) or not isinstance(said, (int, float)):
        return None if type(said) is type(back) and said == back else ""
    close = isinstance(back, (int, float)) and math.isclose(said, back, rel_tol=1e-9, abs_tol=1e-12)
    return None if close else ""


def damaged(path: str | Path, error: Exception) -> InputError:
    """The error for a result whose values are not what its format promises."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return InputError(f"{path} is damaged: {where}: {first['msg'].lower()}; repeat the job")
    return InputError(f"{path} is damaged: {type(error).__name__} {one_line(error)}; repeat the job")
