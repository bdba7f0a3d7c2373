"""Names that become names of files and folders: plain ones, so that no file reaches outside its folder."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated

from pydantic import AfterValidator

LONGEST = 100
"""Letters of a plain name; file systems allow 255 bytes."""

EXPECTED = f"letters, digits, '-', '_' and '.', which is neither first nor last, in {LONGEST} bytes at most"

_PLAIN = re.compile(r"[\w-]([\w.-]*[\w-])?")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # which Windows takes for devices
_NO_FILE = re.compile(r"[/\\\x00-\x1f\x7f]")


def plain_name(name: str) -> str:
    """``name``, known to be safe as the name of a file or folder.

    Raises:
        ValueError: it is not: a separator, ``..``, a name that is a device somewhere, or far too long.

    Example:
        >>> plain_name("digits-ddim")
        'digits-ddim'
    """
    if not _PLAIN.fullmatch(name) or _DEVICES.fullmatch(name) or len(name.encode()) > LONGEST:
        shown = name if len(name) <= LONGEST else f"{name[:LONGEST]}..."
        raise ValueError(f"{shown!r}, expected {EXPECTED}")
    return name


PlainName = Annotated[str, AfterValidator(plain_name)]
"""A field of a table whose value becomes the name of a file or folder."""


def file_name(text: str) -> str:
    """A file's name for any text, such as a predictor with its parameters; plain ones stay as they are.

    Example:
        >>> file_name("gbdt[weights=a/b]-100-0.csv")
        'gbdt[weights=a_b]-100-0.csv'
    """
    name = _NO_FILE.sub("_", text)
    if name in ("", ".", ".."):
        return name.replace(".", "_") or "_"
    if len(name.encode()) <= 200:
        return name
    suffix = name[dot:] if len(name) - (dot := name.rfind(".")) <= 10 and dot > 0 else ""
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{name.encode()[:150].decode(errors='ignore')}-{digest}{suffix}"
