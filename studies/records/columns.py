"""Columns of a table that runs append to: each is declared once, and goes by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column.

    Attributes:
        name: its name in the header.
        value: what it says of a row's object; ``None`` becomes an empty cell.
        kind: ``number`` for one number a cell, which may be empty or ``nan``, else ``text``.
        required: a file without it is something else; for columns that every version has.
    """

    name: str
    value: Callable[[Row], object]
    kind: Literal["text", "number"] = "text"
    required: bool = False


class Columns(Generic[Row]):
    """The columns of a table, in the order of a new file."""

    def __init__(self, *columns: Column[Row]) -> None:
        self.columns = columns

    def __iter__(self) -> Iterator[Column[Row]]:
        return iter(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """All names."""
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns without which a file is something else."""
        return tuple(column.name for column in self.columns if column.required)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the columns with one number."""
        return tuple(column.name for column in self.columns if column.kind == "number")

    def row(self, thing: Row) -> dict[str, object]:
        """The cells of one row by column."""
        cells = {column.name: column.value(thing) for column in self.columns}
        return {name: "" if value is None else value for name, value in cells.items()}
