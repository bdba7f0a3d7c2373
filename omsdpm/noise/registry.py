"""Noise schedules by the ``kind`` of a table, as zoo files and saved predictors have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from omsdpm.errors import InputError
from omsdpm.noise.base import Noise

if TYPE_CHECKING:
    from omsdpm.plugins import Registry

N = TypeVar("N", bound=Noise)

USUAL = "linear"
"""The kind of a table that says none."""


def noise_names() -> list[str]:
    """The kinds of noise schedules that are installed, sorted."""
    return noise_registry().names()


def make_noise(table: Mapping[str, Any]) -> Noise:
    """The noise schedule of a table, such as ``[noise]`` of a zoo; the inverse of :meth:`Noise.table`.

    Args:
        table: ``kind``, an entry point of the group ``omsdpm.noise`` (``linear`` if there is none), and
            the keys of that kind.

    Raises:
        InputError: an unknown kind, a plug-in that breaks the contract, or what its ``from_table`` refuses.

    Example:
        >>> make_noise({"kind": "cosine", "steps": 100})
        CosineBetas(steps=100, zero_terminal_snr=False, max_beta=0.999)
    """
    if not isinstance(table, Mapping):
        raise InputError(f"noise schedule {table!r}: expected a table with a kind and its keys")
    kind = table.get("kind", USUAL)
    if not isinstance(kind, str):
        raise InputError(f"noise schedule of kind {kind!r}: expected one of {', '.join(noise_names())}")
    thing = noise_registry().load(kind)
    if thing.kind != kind:
        raise InputError(
            f"noise schedule {kind!r} calls itself {thing.kind!r}, by which what it writes would not be found again: "
            "register it under that name"
        )
    noise = thing.from_table(table)
    if not isinstance(noise, Noise):
        raise InputError(f"noise schedule {kind!r} made a {type(noise).__name__}: expected a Noise")
    return noise


def from_keys(make: Callable[..., N], kind: str, table: Mapping[str, Any]) -> N:
    """What ``make`` returns for the keys of a table, which are its parameters by name.

    Raises:
        InputError: a table of another kind, a key that ``make`` has not, or a value of the wrong type or
            that ``make`` refuses.
    """
    from omsdpm.tables import model_of, read_table  # and pydantic, for which importing does not wait

    where = f"noise schedule {kind!r}"
    if table.get("kind", kind) != kind:
        raise InputError(f"{where} cannot be made from a table of kind {table['kind']!r}")
    keys = {key: value for key, value in table.items() if key != "kind"}
    values = dict(read_table(model_of(make), keys, where))
    try:
        return make(**values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def noise_registry() -> Registry:
    """The kinds of noise schedules, imported when they are asked for."""
    from omsdpm.plugins import Registry  # and importlib.metadata

    return Registry("noise schedule", "omsdpm.noise", needs=("kind", "from_table"))
