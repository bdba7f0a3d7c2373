"""Reading binary JSON (ubjson.org, draft 12), in which earlier versions saved xgboost's trees."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DEPTH = 32
"""Deepest nesting; xgboost's files have ten levels."""

INTEGERS = {b"i": ">i1", b"U": ">u1", b"I": ">i2", b"l": ">i4", b"L": ">i8"}
NUMBERS = INTEGERS | {b"d": ">f4", b"D": ">f8"}
CONSTANTS = {b"Z": None, b"T": True, b"F": False}


def decode(raw: bytes) -> Any:
    """The value that the bytes spell; arrays of one type of numbers come as NumPy's.

    Raises:
        ValueError: they are damaged, or end too early.
    """
    return _Reader(raw).value(DEPTH)


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = 0

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self.raw) - self.at:
            raise ValueError("its binary JSON ends too early")
        self.at += count
        return self.raw[self.at - count : self.at]

    def value(self, depth: int, kind: bytes | None = None) -> Any:
        kind = self.take(1) if kind is None else kind
        if depth == 0:
            raise ValueError("its binary JSON is nested too deeply")
        if kind in CONSTANTS:
            return CONSTANTS[kind]
        if kind in NUMBERS:
            return self.numbers(kind, 1)[0].item()
        if kind == b"C":
            return self.take(1).decode("latin-1")
        if kind == b"S":
            return self.text()
        if kind == b"[":
            return self.array(depth)
        if kind == b"{":
            return self.table(depth)
        raise ValueError(f"its binary JSON has a value of unknown type {kind!r}")

    def numbers(self, kind: bytes, count: int) -> NDArray[Any]:
        dtype = np.dtype(NUMBERS[kind])
        return np.frombuffer(self.take(count * dtype.itemsize), dtype)

    def count(self) -> int:
        kind = self.take(1)
        if kind not in INTEGERS:
            raise ValueError("its binary JSON has a length that is no whole number")
        return int(self.numbers(kind, 1)[0])

    def text(self) -> str:
        return self.take(self.count()).decode("utf-8")

    def head(self) -> tuple[bytes | None, int | None]:
        """Type and number of a container's values, where it says them."""
        kind = None
        if self.next() == b"$":
            self.take(1)
            kind = self.take(1)
        if self.next() != b"#":
            if kind is not None:
                raise ValueError("its binary JSON has a typed container without a length")
            return None, None
        self.take(1)
        count = self.count()
        # Constants take no byte each: a short file could claim any number of them.
        if not 0 <= count <= len(self.raw) or kind in CONSTANTS:
            raise ValueError("its binary JSON claims more values than it has bytes")
        return kind, count

    def array(self, depth: int) -> Any:
        kind, count = self.head()
        if kind is not None and kind in NUMBERS and count is not None:
            return self.numbers(kind, count)
        if count is not None:
            return [self.value(depth - 1, kind) for _ in range(count)]
        values = []
        while self.next() != b"]":
            values.append(self.value(depth - 1))
        self.take(1)
        return values

    def table(self, depth: int) -> dict[str, Any]:
        kind, count = self.head()
        table: dict[str, Any] = {}
        while len(table) < count if count is not None else self.next() != b"}":
            key = self.text()
            if key in table:
                raise ValueError("its binary JSON has a key twice")
            table[key] = self.value(depth - 1, kind)
        if count is None:
            self.take(1)
        return table

    def next(self) -> bytes:
        """The next byte, which stays; none at the end."""
        return self.raw[self.at : self.at + 1]
