"""A feature network by ``name[param=value,...]`` or ``module:function``, and what identifies one."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omsdpm.errors import InputError
from omsdpm.plugins import Named, import_object, parameters_of
from omsdpm.scoring.features.base import FEATURES, FeatureNetwork

DIGEST_SIZE = 16


def features_names() -> list[str]:
    """Names of the feature networks that are installed, sorted."""
    return FEATURES.names()


def make_features(text: str, *, device: str = "cpu") -> FeatureNetwork:
    """A feature network on a device.

    Args:
        text: ``name[param=value,...]`` of what is registered, or ``module:attribute`` of a function or
            torch module ``(n, C, H, W) -> (n, d)``, or of a class that makes one.
        device: where it runs.

    Raises:
        InputError: unknown name or parameter, a plug-in that breaks the contract, or weights that cannot be used.

    Example:
        >>> make_features("digits").dim
        64
    """
    named = Named.parse(text)
    made = _thing(named)
    if _is_factory(named, made):
        given = {"device": device} if "device" in parameters_of(made) else {}
        made = made(**given, **named.parameters)
    if ":" in named.name and callable(made) and not hasattr(made, "dim"):
        from omsdpm.scoring.features.function import FunctionFeatures

        return FunctionFeatures(made, named.name, device)
    if not callable(made) or not hasattr(made, "dim"):
        raise InputError(f"feature network {named.name!r} made a {type(made).__name__}, which lacks dim or a call")
    network: FeatureNetwork = made
    return network


def check_features(text: str) -> None:
    """Raises :class:`InputError` for a network or a parameter that there is not, without making one."""
    _thing(Named.parse(text))


def features_files(text: str) -> tuple[str, ...]:
    """Parameters of a feature network that are paths of files."""
    return tuple(getattr(_thing(Named.parse(text)), "files", ()))


def features_digest(text: str) -> str:
    """A digest of what decides what a feature network computes, wherever its files lie.

    It is of the name, the parameters and the source of its module, and of the bytes of ``files``;
    or, where the class has a class method ``content(**parameters)``, of the JSON values and of the
    bytes of the :class:`~pathlib.Path` that it gives.

    Raises:
        InputError: as :func:`check_features`, or a file that cannot be read.
    """
    named = Named.parse(text)
    thing = _thing(named)
    if hasattr(thing, "content"):
        return content_digest(thing.content(**named.parameters))
    files = getattr(thing, "files", ())
    content = {key: Path(value) if key in files else value for key, value in named.parameters.items()}
    source = _source(thing, named.name)
    return content_digest({"name": named.name, **content, **({} if source is None else {"source": source})})


def content_digest(content: Mapping[str, Any]) -> str:
    """BLAKE2b of JSON values, and of the bytes of files for a :class:`~pathlib.Path`, in the order of their keys.

    Raises:
        InputError: a file that cannot be read.
    """
    total = hashlib.blake2b(digest_size=DIGEST_SIZE)
    for key, value in sorted(content.items()):
        part = {"bytes": file_digest(value)} if isinstance(value, Path) else value
        total.update(json.dumps([key, part], sort_keys=True).encode())
    return total.hexdigest()


def file_digest(path: str | Path, what: str = "weights") -> str:
    """BLAKE2b of a file's bytes.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST_SIZE)).hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {what} {path}: {error.strerror}; name a file that can be read") from error


def _thing(named: Named) -> Any:
    """What is registered or imported, known to take the parameters."""
    if ":" not in named.name:
        thing = FEATURES.load(named.name)
        FEATURES.check(named, thing, reserved=("device",))
        return thing
    thing = import_object(named.name, "feature network")
    if not callable(thing):
        raise InputError(f"feature network {named.name!r} is a {type(thing).__name__}, which cannot be called")
    if inspect.isclass(thing):
        FEATURES.check(named, thing, reserved=("device",))
    elif named.parameters:
        raise InputError(f"feature network {named.name!r} takes no parameters: it is called with images")
    return thing


def _is_factory(named: Named, thing: Any) -> bool:
    return ":" not in named.name or inspect.isclass(thing)


def _source(thing: Any, name: str) -> Path | None:
    """The file of the module of a class or function; a change of it may change the features."""
    module = name.partition(":")[0] if ":" in name else getattr(thing, "__module__", None)
    try:
        spec = find_spec(module) if module else None
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None
