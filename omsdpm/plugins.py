"""Whatever users may add, found by name: entry points, and the grammar ``name[param=value,...]``.

Each kind of thing (solver, noise schedule, network, metric, predictor, optimizer, ...) is a
:class:`Registry` over one entry-point group, in which ours are registered like anybody's.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from omsdpm.errors import InputError, unknown_name

OPENING, CLOSING = "[{(", "]})"


@dataclass(frozen=True)
class Named:
    """A registered name with parameters, as ``lstm[updates=800]`` says it.

    Attributes:
        name: what is registered.
        parameters: by name; values are JSON's, or words.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Named:
        """Reads ``name`` or ``name[param=value,...]``; a value is JSON, or else a word as it stands.

        Raises:
            InputError: brackets that do not close, or a part that is no ``param=value``.

        Example:
            >>> Named.parse("gbdt[trees=50,objective=ranking]").parameters
            {'trees': 50, 'objective': 'ranking'}
        """
        name, bracket, rest = text.strip().partition("[")
        if bracket and not rest.endswith("]"):
            raise InputError(f"{text!r}: expected name or name[param=value,...], with a closing bracket at the end")
        parameters: dict[str, Any] = {}
        for part in split_list(rest[:-1]) if rest[:-1].strip() else []:
            key, equals, value = part.partition("=")
            if not equals or not key.strip().isidentifier() or not value.strip():
                raise InputError(f"{text!r}: {part!r} is no param=value")
            if key.strip() in parameters:
                raise InputError(f"{text!r}: parameter {key.strip()!r} is given twice")
            parameters[key.strip()] = _value(value.strip())
        if not name.strip():
            raise InputError(f"{text!r} names nothing: expected name or name[param=value,...]")
        return cls(name.strip(), parameters)

    def extended(self, parameters: Mapping[str, Any]) -> Named:
        """The same name with more parameters.

        Raises:
            InputError: one of them is there already.
        """
        for key in parameters:
            if key in self.parameters:
                raise InputError(f"{str(self)!r}: parameter {key!r} is given twice")
        return Named(self.name, {**self.parameters, **parameters})

    def __str__(self) -> str:
        """What :meth:`parse` reads; parameters in the order of their names."""
        if not self.parameters:
            return self.name
        parts = (f"{key}={_text(value)}" for key, value in sorted(self.parameters.items()))
        return f"{self.name}[{','.join(parts)}]"


def split_list(text: str) -> list[str]:
    """The parts of ``"a,b[c=1,d=2]"`` between commas that stand in no brackets or quotes, stripped.

    Raises:
        InputError: an empty part, or brackets or quotes that do not close.
    """
    parts, depth, quoted, escaped, start = [], 0, False, False, 0
    for at, letter in enumerate(text):
        if quoted and (escaped or letter == "\\"):  # of a JSON string: what follows a backslash ends nothing
            escaped = not escaped
        elif letter == '"':
            quoted = not quoted
        elif not quoted and letter in OPENING:
            depth += 1
        elif not quoted and letter in CLOSING:
            depth -= 1
        elif letter == "," and not depth and not quoted:
            parts.append(text[start:at].strip())
            start = at + 1
    parts.append(text[start:].strip())
    if depth or quoted:
        raise InputError(f"{text!r} has brackets or quotes that do not close")
    if not all(parts):
        raise InputError(f"{text!r}: expected values with a comma between two, as in a,b")
    return parts


class Registry:
    """What is installed of one kind, by name.

    Args:
        kind: the kind in a word, for errors.
        group: the entry-point group.
        needs: attributes that a registered class or function must have to be of the kind.
    """

    def __init__(self, kind: str, group: str, needs: Iterable[str] = ()) -> None:
        self.kind = kind
        self.group = group
        self.needs = tuple(needs)

    def names(self) -> list[str]:
        """All names, sorted; imports nothing of what they name."""
        return sorted({point.name for point in entry_points(group=self.group)})

    def point(self, name: str) -> EntryPoint:
        """The entry point of a name.

        Raises:
            InputError: nobody registered it, or two packages did.
        """
        points = {point.value: point for point in entry_points(group=self.group) if point.name == name}
        if not points:
            raise unknown_name(self.kind, name, self.names())
        if len(points) > 1:
            raise InputError(
                f"{self.kind} {name!r} is registered by several packages ({', '.join(sorted(points))}): "
                "uninstall all but one"
            )
        return next(iter(points.values()))

    def load(self, name: str) -> Any:
        """What is registered under a name.

        Raises:
            InputError: as :meth:`point`; it cannot be imported, or is not of this kind.
        """
        point = self.point(name)
        try:
            thing = point.load()
        except Exception as error:  # whatever a stranger's module does while it is imported
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(
                f"{self.kind} {name!r} is registered as {point.value}, which cannot be imported ({reason}): "
                "mend or uninstall its package"
            ) from error
        abstract: Iterable[str] = getattr(thing, "__abstractmethods__", ())
        lacking = [need for need in self.needs if not hasattr(thing, need)] + sorted(abstract)
        if lacking or not callable(thing):
            what = f"lacks {', '.join(lacking)}" if lacking else "cannot be called"
            raise InputError(f"{self.kind} {name!r} ({point.value}) is no {self.kind}: it {what}")
        return thing

    def make(self, text: str, parameters: Mapping[str, Any] | None = None, /, **given: Any) -> Any:
        """Calls what ``name[param=value,...]`` names with its parameters and what the caller gives.

        Args:
            text: the name, perhaps with parameters.
            parameters: more of the same.
            **given: what the caller settles, which ``text`` may not.

        Raises:
            InputError: as :meth:`load`, or a parameter that it does not have, needs, or is given twice.
        """
        named = Named.parse(text).extended(parameters or {})
        thing = self.load(named.name)
        self.check(named, thing, reserved=given)
        keywords = {**given, **named.parameters}
        try:
            inspect.signature(thing).bind(**keywords)
        except TypeError as error:
            raise InputError(f"{self.kind} {named.name!r} ({self.point(named.name).value}): {error}") from error
        return thing(**keywords)

    def check(self, named: Named, thing: Callable[..., Any], reserved: Iterable[str] = ()) -> None:
        """Raises :class:`InputError` for a parameter that ``thing`` does not take, or that the caller settles."""
        if any(parameter.kind is parameter.VAR_KEYWORD for _, parameter in _signature(thing)):
            return  # it takes any, and says itself which mean something
        known = [name for name in parameters_of(thing) if name not in set(reserved)]
        for parameter in named.parameters:
            if parameter not in known and not known:
                raise InputError(f"{self.kind} {named.name!r} takes no parameters: leave out {parameter!r}")
            if parameter not in known:
                raise unknown_name(f"parameter of {self.kind} {named.name!r}", parameter, known)


def parameters_of(thing: Callable[..., Any]) -> list[str]:
    """Names of the parameters that a class or function takes by keyword."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [name for name, parameter in _signature(thing) if parameter.kind in kinds]


def _signature(thing: Callable[..., Any]) -> Iterator[tuple[str, inspect.Parameter]]:
    yield from inspect.signature(thing).parameters.items()


def import_object(path: str, what: str) -> Any:
    """What ``module:attribute`` names, which need not be registered.

    Args:
        path: ``module:attribute``, importable from where the command runs.
        what: the thing in a word, for errors.

    Raises:
        InputError: another form, or it cannot be imported.
    """
    module, colon, attribute = path.partition(":")
    if not colon or not module or not attribute:
        raise InputError(f"{what} {path!r}: expected module:attribute")
    point = EntryPoint(name=path, value=path, group="")
    try:
        return point.load()
    except Exception as error:  # whatever a stranger's module does while it is imported
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{what} {path!r} cannot be imported ({reason})") from error


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _text(value: Any) -> str:
    """A parameter's value so that :meth:`Named.parse` gives it back."""
    if isinstance(value, str):
        plain = not set(value) & set(OPENING + CLOSING + ',"') and value == value.strip() and value
        return value if plain and _value(value) == value else json.dumps(value)
    return json.dumps(value)
