"""What a generator gives: a malformed file, how a command reads it, and whether it may be accepted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        what: what was done to it.
        path: the file; what a refusal has to name.
        read: reads it as commands do.
        wrong: what is wrong with accepting it as what ``read`` gave; ``None`` if that is right.
    """

    what: str
    path: Path
    read: Callable[[], Any]
    wrong: Callable[[Any], str | None]


class Kind(ABC):
    """A kind of files.

    Args:
        valid: folder of :mod:`tests.fuzz.valid`.
    """

    name: str

    share: float = 1.0
    """Of all inputs, before the shares of all kinds are made to sum to 1."""

    def __init__(self, valid: Path) -> None:
        self.valid = valid

    @abstractmethod
    def case(self, rng: np.random.Generator, folder: Path) -> Case:
        """An input, made in an empty folder."""


def refused(reason: str) -> Callable[[Any], str | None]:
    """A judge of files that nobody may accept."""
    return lambda accepted: reason


def right(accepted: Any) -> str | None:
    """A judge of files that may be accepted as they are."""
    return None
