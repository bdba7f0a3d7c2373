"""``dtype[to=bfloat16]``: weights of half the size, which is faster where the device has units for them."""

from __future__ import annotations

from typing import Any

from omsdpm.errors import unknown_name
from omsdpm.variants.base import Variant

DTYPES = ("bfloat16", "float16", "float32")


class DtypeVariant(Variant):
    """All weights in another precision; the states of the solver keep theirs.

    Args:
        to: one of :data:`DTYPES`.

    Raises:
        InputError: another one.
    """

    def __init__(self, to: str = "bfloat16") -> None:
        if to not in DTYPES:
            raise unknown_name("dtype", str(to), DTYPES)
        self.to = to

    def apply(self, model: Any) -> Any:
        """The model with weights of its own in the other precision."""
        import torch

        # Module by module: assigned, not converted in place, for the weights are others' too.
        for module in model.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                if parameter.is_floating_point():
                    changed = parameter.detach().to(getattr(torch, self.to))
                    setattr(module, name, torch.nn.Parameter(changed, requires_grad=False))
        return model
