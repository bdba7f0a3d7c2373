"""Weights that wait on the CPU while another member is evaluated, for zoos that do not fit into a device's memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

from omsdpm.errors import InputError

if TYPE_CHECKING:
    import torch


class Offload:
    """Keeps the weights of one model at a time on a device, and those of all on the CPU.

    A model's weights are copied to the device when it is called, and the copies of others dropped; weights that both
    hold stay. Nothing is copied back, for nothing changes them. On CUDA they wait in pinned memory.

    Args:
        device: where models are evaluated.

    Example:
        >>> offload = Offload("cuda")
        >>> for model in (small, large):
        ...     offload.add(model)
    """

    def __init__(self, device: str) -> None:
        from torch.utils.weak import WeakTensorKeyDictionary

        self.device = device
        self._waiting: Any = WeakTensorKeyDictionary()  # a tensor of a model to what it holds while it waits
        self._there: Any = WeakTensorKeyDictionary()  # those whose values are on the device
        self._models: WeakSet[Any] = WeakSet()
        self._last: Any = lambda: None

    def add(self, model: torch.nn.Module) -> None:
        """Sends a model's weights to the CPU until it is called; one that was added stays as it is.

        Raises:
            InputError: the model is compiled or quantized, and its weights have to stay where they are.
        """
        if getattr(model, "_compiled_call_impl", None) is not None:
            raise InputError(f"a {type(model).__name__} that is compiled cannot wait on the CPU: leave out one of both")
        if _quantized(model):
            raise InputError(f"a {type(model).__name__} of whole numbers cannot wait on the CPU: leave out one of both")
        for tensor in _tensors(model):
            if tensor not in self._waiting:
                self._waiting[tensor] = self._kept(tensor.data)
                tensor.data = self._waiting[tensor]
        if model not in self._models:
            self._models.add(model)
            # A function and no method: a copy of the model takes it along, and no copy of all that waits.
            model.register_forward_pre_hook(lambda called, given: self.enter(called))

    def enter(self, model: torch.nn.Module) -> None:
        """Brings a model's weights to the device, and sends those of others away."""
        if self._last() is model:
            return
        wanted = [tensor for tensor in _tensors(model) if tensor in self._waiting]
        lacking = [tensor for tensor in wanted if tensor not in self._there]
        if lacking:
            stay = set(map(id, wanted))
            for tensor in [tensor for tensor in self._there if id(tensor) not in stay]:
                tensor.data = self._waiting[tensor]
                del self._there[tensor]
        for tensor in lacking:
            tensor.data = self._placed(self._waiting[tensor])
            self._there[tensor] = True
        self._last = ref(model)

    def _kept(self, data: torch.Tensor) -> torch.Tensor:
        data = data.to("cpu")
        return data.pin_memory() if self.device.startswith("cuda") else data

    def _placed(self, data: torch.Tensor) -> torch.Tensor:
        return data.to(self.device, non_blocking=True)


@cache
def offload_to(device: str) -> Offload | None:
    """What keeps the weights for a device: one of all zoos, for they may share models; ``None`` for the CPU itself."""
    return None if device == "cpu" else Offload(device)


def _tensors(model: torch.nn.Module) -> Iterator[torch.Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def _quantized(model: torch.nn.Module) -> bool:
    """Whether some weights are no plain tensors: torchao's are of a class of their own, torch's are no parameters."""
    import torch

    plain = (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer)
    packed = any(type(module).__module__.startswith("torch.ao.nn.quantized") for module in model.modules())
    return packed or any(type(tensor) not in plain for tensor in _tensors(model))
