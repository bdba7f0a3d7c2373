"""The reference of what people write: every key, its type, its default and its meaning, from the declarations.

``python -m studies.reference`` writes ``docs/reference.md``.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

PAGE = Path("docs") / "reference.md"

HEAD = """# Reference of files and settings

Made by `python -m studies.reference` from the declarations that read these files. A key that is not here is
refused, with the nearest one named; so is a value of another type or out of range. Numbers are finite, seeds
are whole numbers from 0 to 2^63 - 1, and relative paths are relative to the file that names them.
"""


def reference() -> str:
    """The page, Markdown."""
    return "\n".join(_page()).rstrip() + "\n"


def _page() -> Iterator[str]:
    from omsdpm.dataset.recipe import BenchmarkTable
    from omsdpm.networks.base import NETWORKS
    from omsdpm.zoo.files import LatencyCard, ZooFile
    from omsdpm.zoo.recipe import ZooRecipe
    from studies.jobs.run.settings import RunSettings
    from studies.jobs.study.settings import StudyFile

    yield HEAD
    yield from _file("zoo.toml", "A zoo: a folder with this file, and its members beside it.", ZooFile)
    for kind in _ours(NETWORKS.group):
        yield from _table(f"`[[member]]` of kind `{kind}`", NETWORKS.load(kind))
    yield "### `[noise]`\n"
    yield f"`kind` is one of {', '.join(f'`{name}`' for name in _ours('omsdpm.noise'))}; `linear` without it.\n"
    for kind in _ours("omsdpm.noise"):
        yield from _noise(kind)
    yield from _file("recipe.toml", "What `omsdpm-bench zoo train` makes a zoo of.", ZooRecipe)
    yield from _file(
        "benchmark.toml",
        "A benchmark, or a recipe of a dataset where it has no `budgets`: what `omsdpm-bench dataset build` makes.",
        BenchmarkTable,
    )
    yield from _file(
        "latency.toml", "The measured latencies of a zoo; `omsdpm-bench zoo profile` writes it.", LatencyCard
    )
    yield from _file("A study's file", "What `omsdpm-bench study FILE.toml` runs.", StudyFile)
    yield "## Settings of a run\n"
    yield "Options of `omsdpm-bench run`, parameters of `studies.jobs.run.settings.RunSettings`.\n"
    yield "| setting | option | type | default | meaning |"
    yield "|---|---|---|---|---|"
    for name, option in RunSettings.options().items():
        field = RunSettings.model_fields[name]
        default = option.default or default_text(field)
        cells = (
            f"`{name}`",
            f"`{RunSettings.flag(name)}`",
            type_text(field.annotation, field.metadata),
            default,
            option.help,
        )
        yield f"| {' | '.join(map(_cell, cells))} |"


def _ours(group: str) -> list[str]:
    """What this package registers in a group of entry points; other packages have pages of their own."""
    return sorted({point.name for point in entry_points(group=group) if point.value.startswith("omsdpm.")})


def _file(name: str, meaning: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"## {name}\n"
    yield f"{meaning}\n"
    yield from _tables(model, "")


def _tables(model: type[BaseModel], path: str) -> Iterator[str]:
    """A table's keys, and those of the tables in it."""
    yield from _rows(model)
    for name, field in model.model_fields.items():
        key = f"{path}.{field.alias or name}".lstrip(".")
        for inner in _models(field.annotation):
            if inspect.isabstract(inner):
                continue  # kinds of members have tables of their own
            many = get_origin(field.annotation) is tuple
            title = f"`[[{key}]]`" if many else f"`[{key}]`"
            tag = _tag(inner)
            yield f"### {title}{f' with {tag}' if tag else ''}\n"
            yield from _tables(inner, key)


def _table(title: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"### {title}\n"
    yield from _rows(model)


def _rows(model: type[BaseModel]) -> Iterator[str]:
    meanings = meanings_of(model)
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        key = field.alias or name
        cells = (
            f"`{key}`",
            type_text(field.annotation, field.metadata),
            default_text(field),
            meanings.get(key, meanings.get(name, "")),
        )
        yield f"| {' | '.join(map(_cell, cells))} |"
    yield ""


def _noise(kind: str) -> Iterator[str]:
    from omsdpm.noise.registry import noise_registry

    thing = noise_registry().load(kind)
    yield f'#### `kind = "{kind}"`\n'
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    meanings = meanings_of(thing)
    for name, parameter in inspect.signature(thing).parameters.items():
        default = "must be given" if parameter.default is parameter.empty else f"`{toml_text(parameter.default)}`"
        kind_of = type_text(_hints(thing).get(name, Any), [])
        yield f"| {' | '.join(map(_cell, (f'`{name}`', kind_of, default, meanings.get(name, ''))))} |"
    yield ""


def _hints(thing: Any) -> dict[str, Any]:
    from typing import get_type_hints

    try:
        return get_type_hints(thing, include_extras=True)
    except NameError:
        return {}


def meanings_of(model: type) -> dict[str, str]:
    """What a class's docstring, or one that it derives from, says of its attributes; later classes add theirs."""
    meanings: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        text = inspect.cleandoc(kind.__dict__.get("__doc__") or "")
        for section in re.findall(r"^(?:Attributes|Args):\n((?:    .*\n?|\n)+)", text, re.MULTILINE):
            key: list[str] = []
            for line in section.splitlines():
                start = re.match(r"    (\w+(?:, \w+)*): (.*)", line)
                if start:
                    key = start[1].split(", ")
                    meanings |= dict.fromkeys(key, start[2])
                elif line.strip() and key:
                    meanings |= {name: f"{meanings[name]} {line.strip()}" for name in key}
    return {name: re.sub(r":\w+:`~?([\w.]+)`", r"`\1`", text).replace("``", "`") for name, text in meanings.items()}


def _tag(model: type[BaseModel]) -> str:
    for name, field in model.model_fields.items():
        if get_origin(field.annotation) is Literal and field.is_required():
            return f'`{name} = "{get_args(field.annotation)[0]}"`'
    return ""


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Models that a field's value may be, or be a list of."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, types.UnionType, tuple, list, Annotated):
        return [model for part in get_args(annotation) for model in _models(part)]
    return []


WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path", Any: "any value"}


def type_text(annotation: Any, metadata: list[Any]) -> str:
    """A type in the words of TOML, with its range."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_text(parts[0], [*parts[1:], *metadata])
    limits = _limits(metadata)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_text(part, metadata) for part in parts if part is not type(None)))
    if origin is Literal:
        return " or ".join(f"`{toml_text(part)}`" for part in parts)
    if origin is tuple and len(parts) == 2 and parts[1] is not Ellipsis:
        return f"list of two: {type_text(parts[0], [])}"
    if origin in (tuple, list) or _name(origin) in ("Sequence",):
        inner = type_text(parts[0], []) if parts else "any value"
        return f"list of {inner}{limits}"
    if origin is dict or _name(origin) == "Mapping":
        return f"table of {type_text(parts[1], [])}"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "table"
    if _name(annotation) == "Noise":
        return "table"
    if _name(origin) in ("ndarray", "NDArray"):  # the latter where NumPy's alias is a type of its own
        return "list of number"
    return f"{WORDS.get(annotation, _name(annotation))}{limits}"


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))


def _limits(metadata: list[Any]) -> str:
    """A range in words: ``, above 0``."""
    bounds: dict[str, Any] = {}
    for part in metadata:
        if isinstance(part, FieldInfo):
            bounds |= _range(part.metadata)
        bounds |= _range([part])
    if bounds.get("le") == 2**63 - 1:
        return ", a seed"
    words = {"ge": "from {}", "gt": "above {}", "le": "to {}", "lt": "below {}", "min_length": "{} or more"}
    parts = [words[key].format(bounds[key]) for key in words if key in bounds]
    return f", {' '.join(parts)}" if parts else ""


def _range(parts: list[Any]) -> dict[str, Any]:
    names = ("ge", "gt", "le", "lt", "min_length")
    return {name: getattr(part, name) for part in parts for name in names if getattr(part, name, None) is not None}


def default_text(field: FieldInfo) -> str:
    """What a key has where nobody gives it, in TOML."""
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "its defaults"
    if value is None:
        return "none"
    if hasattr(value, "table"):
        value = value.table()
    return f"`{toml_text(value)}`"


def toml_text(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_text, value))}]"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {toml_text(one)}" for key, one in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, Path):
        return f'"{value.as_posix()}"'
    return "none" if value is None else str(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Writes the page."""
    PAGE.write_text(reference(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")


if __name__ == "__main__":
    main()
