"""The release's configuration files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omsdpm.errors import InputError
from omsdpm.files import regular_file

LARGEST = 2**20
"""Bytes of a configuration; the release's have a thousand."""

ALIASES = 32
"""References to other nodes; of aliases of aliases a few lines make millions of nodes."""

DEPTH = 50
"""Deepest nesting; the time of reading grows with its square."""


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML (or JSON) file with a mapping, read without building Python objects.

    Raises:
        InputError: no such file, not such a file, or one that is far too long or grows when it is read.
    """
    import yaml

    path = regular_file(path, "expected a YAML file")
    if path.stat().st_size > LARGEST:
        raise InputError(f"{path} has {path.stat().st_size} bytes: expected a configuration of {LARGEST} at most")
    try:
        text = path.read_text(encoding="utf-8-sig")
        _check_size(text, path)
        table = yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is no plain YAML: {reason}") from error
    if not isinstance(table, dict):
        raise InputError(f"{path} is no configuration: expected keys with values")
    return table


def _check_size(text: str, path: Path) -> None:
    """Raises :class:`InputError` for a text that is short and yet takes forever."""
    import yaml

    aliases = depth = 0
    flow, block = (
        (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken),
        (yaml.BlockSequenceStartToken, yaml.BlockMappingStartToken),
    )
    ends = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        aliases += isinstance(token, yaml.AliasToken)
        depth += isinstance(token, (*flow, *block)) - isinstance(token, ends)
        if aliases > ALIASES:
            raise InputError(f"{path} has more than {ALIASES} aliases: write the values out")
        if depth > DEPTH:
            raise InputError(f"{path} nests values more than {DEPTH} deep: expected a configuration")
