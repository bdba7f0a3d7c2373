"""Results as JSON files that say their kind and format, and are read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from omsdpm.errors import InputError, one_line
from omsdpm.files import write_json


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
            return cls.model_validate(values)
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
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read result {path}: {error.strerror}; name what `omsdpm-bench` wrote") from error
    except ValueError as error:
        raise InputError(f"{path} is no result: {one_line(error)}; name what `omsdpm-bench` wrote") from error
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


def damaged(path: str | Path, error: Exception) -> InputError:
    """The error for a result whose values are not what its format promises."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return InputError(f"{path} is damaged: {where}: {first['msg'].lower()}; repeat the job")
    return InputError(f"{path} is damaged: {type(error).__name__} {one_line(error)}; repeat the job")
