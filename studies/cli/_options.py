"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

SOLVERS = ("ddim", "dpm-solver", "dpm-solver++")
"""The solvers' names, written out because importing them would cost ``--help`` NumPy."""


def device(command: Command) -> Command:
    """``--device auto|cpu|cuda``."""
    option = click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where networks run; auto takes CUDA if there is one.",
    )
    return option(command)


def inception_weights(command: Command) -> Command:
    """``--inception-weights PATH``."""
    option = click.option(
        "--inception-weights", type=click.Path(path_type=Path), help="For fid.  [default: downloaded once]"
    )
    return option(command)


def solver(help: str, *, required: bool = False) -> Callable[[Command], Command]:
    """``--solver``, with what happens without it told in ``help``."""

    def add(command: Command) -> Command:
        return click.option("--solver", type=click.Choice(SOLVERS), required=required, help=help)(command)

    return add
