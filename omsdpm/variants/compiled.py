"""``compile``: a network that ``torch.compile`` makes faster, which takes minutes before its first image."""

from __future__ import annotations

from typing import Any

from omsdpm.variants.base import Variant


class CompileVariant(Variant):
    """Compiled at the first evaluation of each shape, so it is for long runs at one batch size.

    Args:
        backend: of ``torch.compile``; the usual one needs a C++ compiler on a CPU.
        mode: of ``torch.compile``: ``reduce-overhead`` records CUDA graphs.
    """

    def __init__(self, backend: str = "inductor", mode: str = "default") -> None:
        self.backend, self.mode = backend, mode

    def apply(self, model: Any) -> Any:
        """The model, which compiles itself when it is first called."""
        model.compile(backend=self.backend, **({} if self.mode == "default" else {"mode": self.mode}))
        return model
