"""What identifies a zoo: digests of what its members compute, wherever they lie and whenever they were written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from omsdpm.errors import InputError
from omsdpm.zoo.files import ZooFile

DIGEST_SIZE = 16
CHUNK = 1 << 20


def zoo_digest(folder: str | Path) -> dict[str, str]:
    """A digest of each member, by its number from 1, and of the ``"noise"`` they were trained on.

    Where the zoo has a pipeline, another of its ``"pipeline"``: VAE, text encoders and tokenizers.
    Equal digests compute equal predictions: a member's is of its weights, its configuration and what
    ``zoo.toml`` says of it; names, paths, times and comments are no part of it.

    Raises:
        InputError: no zoo, or a file of a member is missing.

    Example:
        >>> sorted(zoo_digest("benchmarks/data/digits-zoo"))
        ['1', '2', '3', '4', '5', '6', 'noise']
    """
    folder = Path(folder)
    file = ZooFile.read(folder)
    digests = {str(number): _digest(member.content(folder)) for number, member in enumerate(file.members, start=1)}
    parts = file.parts(folder)
    if parts is not None:
        content = {path.relative_to(parts.folder).as_posix(): path for path in parts.files()}
        digests["pipeline"] = _digest(content)
    return {**digests, "noise": _digest(file.noise.table())}


def _digest(content: dict[str, Any]) -> str:
    """BLAKE2b of JSON values and of the bytes of files, in the order of their keys."""
    total = hashlib.blake2b(digest_size=DIGEST_SIZE)
    for key, value in sorted(content.items()):
        part = {"bytes": _file_digest(value)} if isinstance(value, Path) else value
        total.update(json.dumps([key, part], sort_keys=True, allow_nan=False).encode())
    return total.hexdigest()


def _file_digest(path: Path) -> str:
    hasher = hashlib.blake2b(digest_size=DIGEST_SIZE)
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                hasher.update(chunk)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; copy the zoo's member again") from error
    return hasher.hexdigest()
