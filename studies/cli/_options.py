"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def device(command: Command) -> Command:
    """``--device auto|cpu|cuda|cuda:N|mps``."""
    option = click.option(
        "--device",
        metavar="[auto|cpu|cuda|cuda:N|mps]",
        default="auto",
        show_default=True,
        help="Where networks run; auto takes CUDA if there is one.",
    )
    return option(command)
