"""What every part raises when its input cannot be used."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Input that cannot be used.

    The message is one line that says what was given, what was expected and what
    to do. The command line prints it and exits with code 2.
    """


class InputWarning(UserWarning):
    """Input that can be used, but is probably not what was meant; the command line prints it in one line."""


def one_line(error: BaseException) -> str:
    """What an error says, with its line breaks and runs of blanks as single blanks."""
    return " ".join(str(error).split())


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name nobody registered: lists what exists, nearest match first."""

    def likeness(candidate: str) -> float:
        return difflib.SequenceMatcher(None, name.lower(), candidate.lower()).ratio()

    ranked = sorted(known, key=lambda candidate: (-likeness(candidate), candidate))
    choices = ", ".join(ranked) if ranked else f"none (no {kind} is installed)"
    return InputError(f"unknown {kind} {name!r}; choose one of: {choices}")
