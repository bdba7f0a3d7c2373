"""The release's configuration files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omsdpm.errors import InputError


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML (or JSON) file with a mapping, read without building Python objects.

    Raises:
        InputError: no such file, or not such a file.
    """
    import yaml

    try:
        table = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is no plain YAML: {reason}") from error
    if not isinstance(table, dict):
        raise InputError(f"{path} is no configuration: expected keys with values")
    return table
