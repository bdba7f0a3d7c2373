"""``guidance[scale=S]``: guidance on, off (a scale of 1), or at another scale."""

from __future__ import annotations

from typing import Any

from omsdpm.errors import InputError
from omsdpm.variants.base import Variant


class GuidanceVariant(Variant):
    """A guided member costs two evaluations, an unguided one a single one.

    Args:
        scale: of classifier-free guidance; 1 is none.

    Raises:
        InputError: a scale that is no number from 0.
    """

    def __init__(self, scale: float = 1.0) -> None:
        if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not 0 <= scale <= 1000:
            raise InputError(f"guidance scale {scale!r}: expected a number from 0, 1 for none")
        self.scale = float(scale)

    def keys(self) -> dict[str, Any]:
        """``guidance`` of the member."""
        return {"guidance": self.scale}
