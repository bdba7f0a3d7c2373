"""Groups that import a command when it is named, and turn bad input into one line."""

from __future__ import annotations

import importlib
import io
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import click

from omsdpm.errors import InputError, InputWarning, one_line, unknown_name
from omsdpm.files import file_of, is_full


class Refused(click.ClickException):
    """Input that cannot be used: ``Error: <one line>`` on stderr, exit code 2."""

    exit_code = 2

    def __init__(self, error: InputError) -> None:
        super().__init__(one_line(error))


def refusal(error: BaseException) -> InputError | None:
    """What a command says of an error below it in one line; ``None`` for one that is our own mistake.

    Beside what was refused as such that is a full disk, and whatever nobody foresaw while a file was
    read or asked for, which the line names.
    """
    if isinstance(error, InputError):
        return error
    if isinstance(error, OSError) and is_full(error):
        where = f" {error.filename}" if error.filename else ""
        return InputError(f"cannot write{where}: no space left; make room, what is there is kept")
    path = file_of(error)
    if path is None and isinstance(error, OSError) and error.filename and error.strerror:
        return InputError(f"cannot use {error.filename}: {error.strerror}")
    if path is None:
        return None
    reason = one_line(error)[:LONGEST]
    return InputError(
        f"cannot read {path}: {type(error).__name__}{reason and ': '}{reason}; it seems damaged, "
        "`omsdpm-bench --debug ...` shows where reading it failed"
    )


LONGEST = 200
"""Letters of an error that nobody foresaw."""

RESUMED = ("dataset build", "predictor compare", "run", "search", "study", "zoo train")
"""Commands that go on where they were stopped."""


class Stopped(click.ClickException):
    """A command that the user stopped; exit code 1, as click's own "Aborted!"."""

    exit_code = 1

    def __init__(self, command: str, error: BaseException) -> None:
        # A run that chose its folder itself says which.
        again = [note for note in getattr(error, "__notes__", ()) if note.startswith("omsdpm-bench ")]
        goes_on = f"`{again[0]}` goes on." if again else "give the same command again to go on."
        kept = again or command.endswith(RESUMED)
        super().__init__("Stopped." + (f" What is done is kept: {goes_on}" if kept else ""))

    def show(self, file: Any = None) -> None:
        """Prints the line."""
        click.echo(self.format_message(), err=True)


class LazyGroup(click.Group):
    """A group whose commands are given as ``name -> "module:attribute"``.

    The commands' modules import what they need inside their functions, so that the help
    of the whole tree costs nothing. Whatever :func:`refusal` knows of becomes :class:`Refused`, and so
    does a wrong option.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """As click's, on streams that write what a terminal's encoding lacks as its number instead of failing."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of their table."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command; None if there is none of that name."""
        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown command lists what exists, nearest first."""
        if args and not args[0].startswith("-") and args[0] not in self.lazy:
            raise unknown_name("command", args[0], self.lazy)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command that was named."""
        try:
            with warnings.catch_warnings():
                usual = warnings.showwarning

                def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
                    if issubclass(category, InputWarning):
                        click.echo(f"Warning: {one_line(Exception(message))}", err=True)
                    else:
                        usual(message, category, *place, **more)

                warnings.showwarning = show
                return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort) as error:
            raise Stopped(f"{ctx.command_path} {ctx.invoked_subcommand}", error) from error
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:  # click's own take three lines
            command = ctx.command_path if error.ctx is None else error.ctx.command_path
            message = error.format_message().rstrip(".")
            raise Refused(InputError(f"{message}; see `{command} --help`")) from error
        except click.ClickException:
            raise
        except Exception as error:
            refused = None if ctx.find_root().params.get("debug") else refusal(error)
            if refused is None:
                raise
            raise Refused(refused) from error
