"""``int8``: linear layers on whole numbers of 8 bits, whose scale is found anew for every input."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

from omsdpm.errors import InputError
from omsdpm.variants.base import Variant


class Int8Variant(Variant):
    """Dynamic quantization: weights once, activations as they come; convolutions stay as they are.

    On the CPU by torch itself; on other devices by torchao, where that is installed.
    """

    def apply(self, model: Any) -> Any:
        """The model with quantized linear layers."""
        import torch

        linears = sum(isinstance(module, torch.nn.Linear) for module in model.modules())
        if not linears:
            raise InputError("it has no linear layer to quantize")
        if next(model.parameters()).device.type != "cpu":
            return _by_torchao(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch means to move this to torchao, which does not run on every CPU
            return torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8, inplace=False)


def _by_torchao(model: Any) -> Any:
    if find_spec("torchao") is None:
        raise InputError("int8 on this device needs the package torchao: `pip install torchao`")
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    quantize_(model, Int8DynamicActivationInt8WeightConfig())
    return model
