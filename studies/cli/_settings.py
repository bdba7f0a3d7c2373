"""Options of a command, made from the settings class of its job."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from omsdpm.devices import DEVICES
from studies.jobs.settings import Option, Settings

Function = TypeVar("Function", bound=Callable[..., Any])


def click_options(kind: type[Settings]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a command an option for every field of its settings, and calls it with them.

    The function gets one ``kind`` as its first argument, made of what was given on the
    command line alone, and whatever other options it has by keyword.

    Example:
        >>> @click.command(cls=TopicCommand)
        ... @click_options(RunSettings)
        ... @click.option("--quiet", is_flag=True)
        ... def run(settings, quiet): ...
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        @click.pass_context
        def call(ctx: click.Context, /, **given: Any) -> Any:
            rest = {name: value for name, value in given.items() if name not in kind.model_fields}
            return function(given_settings(kind, ctx), **rest)

        decorated: Callable[..., Any] = call
        for name in reversed(kind.options()):
            decorated = _parameter(kind, name)(decorated)
        return decorated

    return decorate


def given_settings(kind: type[Settings], ctx: click.Context) -> Settings:
    """The settings that a command line gives; its defaults are the fields' own."""
    given = {}
    for name, field in kind.model_fields.items():
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            given[name] = not field.default if _is_flag(field) else ctx.params[name]
    return kind(**given)


class TopicOption(click.Option):
    """An option that knows its topic."""

    def __init__(self, *args: Any, topic: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.topic = topic


class TopicCommand(click.Command):
    """A command whose help lists its options by topic; those without one come last."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options, a section a topic."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "topic", ""), []).append(record)
        rest = sections.pop("", [])
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)
        with formatter.section("Other options" if sections else "Options"):
            formatter.write_dl(rest)


def _parameter(kind: type[Settings], name: str) -> Callable[[Function], Function]:
    """The click parameter of a field."""
    spec, field = kind.options()[name], kind.model_fields[name]
    if spec.argument:
        count = -1 if _is_many(field) else 1
        return click.argument(name, type=_type(field, spec), required=True, nargs=count, metavar=spec.metavar)
    given: dict[str, Any] = {
        "cls": TopicOption,
        "topic": spec.topic,
        "help": _help(spec),
        "metavar": spec.metavar or _devices(spec),
    }
    if _is_flag(field):
        given["is_flag"] = True
    elif field.is_required():
        given |= {"type": _type(field, spec), "required": True}
    elif _is_many(field) and not spec.separator:
        given |= {"type": _type(field, spec), "multiple": True}
    else:
        shown = spec.default is None and field.default not in (None, ())
        default = field.default if shown else None  # what is not shown is the field's own affair
        given |= {"type": _type(field, spec), "default": default, "show_default": shown}
    return click.option(*kind.flags(name), name, **given)


def _devices(spec: Option) -> str | None:
    return f"[{'|'.join(DEVICES)}]" if spec.choices is not None and spec.choices() is DEVICES else None


def _help(spec: Option) -> str:
    return spec.help if spec.default is None else f"{spec.help}  [default: {spec.default}]"


def _is_flag(field: FieldInfo) -> bool:
    return field.annotation is bool


def _is_many(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def _type(field: FieldInfo, spec: Option) -> click.ParamType:
    """The click type of one value of a field."""
    if spec.separator:
        return click.STRING
    if spec.choices is not None:
        known = spec.choices()
        return click.STRING if known is DEVICES else click.Choice(list(known))  # any number of cuda:N
    kind = _single(field.annotation)
    if kind is Path:
        return click.Path(path_type=Path, dir_okay=not spec.file)
    if kind in (int, float):
        limits = {name: value for part in field.metadata for name, value in _limits(part).items()}
        low, high = limits.get("ge", limits.get("gt")), limits.get("le", limits.get("lt"))
        ends: dict[str, Any] = {"min": low, "max": high, "min_open": "gt" in limits, "max_open": "lt" in limits}
        if low is None and high is None:
            return click.INT if kind is int else click.FLOAT
        return click.IntRange(**ends) if kind is int else click.FloatRange(**ends)
    return click.STRING


def _limits(constraint: Any) -> dict[str, Any]:
    """A constraint of ``annotated_types`` as a dictionary: ``{"ge": 1}``."""
    return {name: getattr(constraint, name) for name in ("ge", "gt", "le", "lt") if hasattr(constraint, name)}


def _single(annotation: Any) -> Any:
    """The type of one value: ``int`` of ``int | None`` and of ``tuple[int, ...]``."""
    if get_origin(annotation) in (Union, types.UnionType):
        return _single(next(part for part in get_args(annotation) if part is not type(None)))
    if get_origin(annotation) is tuple:
        return _single(get_args(annotation)[0])
    return annotation
