"""What a room shows of its modules, imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def opened(room: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a room: settings cost a command's help nothing of what the job imports.

    Args:
        room: the package's ``__name__``.
        names: public name -> module of the room that has it.
    """

    def get(name: str) -> Any:
        if name in names:
            return getattr(importlib.import_module(f"{room}.{names[name]}"), name)
        raise AttributeError(f"module {room!r} has no attribute {name!r}")

    return get
