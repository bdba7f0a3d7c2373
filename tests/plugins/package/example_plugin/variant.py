"""A variant: a model whose output is fainter."""

from __future__ import annotations

from omsdpm.errors import InputError
from omsdpm.variants import Variant


class QuietVariant(Variant):
    """The model's output times ``factor``.

    Args:
        factor: from 0 to 1.
    """

    own_weights = True

    def __init__(self, factor: float = 0.5) -> None:
        if not 0 <= factor <= 1:
            raise InputError(f"factor = {factor}: expected a number from 0 to 1")
        self.factor = factor

    def apply(self, model):
        """The model with other weights in its last layer."""
        for parameter in (getattr(model, "conv_out", None) or model.proj_out).parameters():
            parameter.data.mul_(self.factor)
        return model
