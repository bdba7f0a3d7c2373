"""``channels-last``: convolutions whose weights have their channels last in memory, as tensor cores read them."""

from __future__ import annotations

from typing import Any

from omsdpm.variants.base import Variant


class ChannelsLastVariant(Variant):
    """The layout that PyTorch's convolutions are fastest in on recent GPUs; the same numbers but for rounding."""

    def apply(self, model: Any) -> Any:
        """The model with weights of convolutions of its own, whose layout the images take over."""
        import torch

        layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
        # Assigned, not converted in place, for the weights are others' too.
        for module in model.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                if parameter.ndim in layouts:
                    changed = parameter.detach().contiguous(memory_format=layouts[parameter.ndim])
                    setattr(module, name, torch.nn.Parameter(changed, requires_grad=False))
        return model
