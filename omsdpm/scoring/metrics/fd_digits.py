"""``fd-digits``: the Fréchet distance in the features of the digit network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omsdpm.scoring.metrics.fd import FrechetMetric
from omsdpm.scoring.reference import DIGITS_SHAPE

if TYPE_CHECKING:
    from omsdpm.scoring.metrics.context import Context


class DigitsMetric(FrechetMetric):
    """The Fréchet distance in the features of a small classifier of handwritten digits, for images of 1x8x8.

    Raises:
        InputError: real images that cannot be used.
    """

    image_shape = DIGITS_SHAPE

    def __init__(self, *, context: Context) -> None:
        super().__init__(self.feature_network(), context=context)

    @classmethod
    def feature_network(cls, **parameters: Any) -> str:
        return "digits"
