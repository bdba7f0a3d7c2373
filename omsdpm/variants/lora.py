"""``lora[weights=FILE]``: an adapter of low rank, as diffusers loads it (Hu et al., arXiv:2106.09685)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from omsdpm.errors import InputError
from omsdpm.variants.base import Variant


class LoRAVariant(Variant):
    """The weights with an adapter's added, so that it costs nothing.

    Args:
        weights: the adapter's ``.safetensors``, as ``save_lora_adapter`` or a pipeline's ``save_lora_weights`` wrote
            it.
        scale: that it is added with.

    Raises:
        InputError: no such file, or no number.
    """

    own_weights = True
    files: ClassVar[tuple[str, ...]] = ("weights",)

    def __init__(self, weights: str, scale: float = 1.0) -> None:
        if isinstance(scale, bool) or not isinstance(scale, (int, float)):
            raise InputError(f"scale = {scale!r}: expected a number")
        self.weights = Path(str(weights))
        if not self.weights.is_file():
            raise InputError(f"adapter {self.weights} does not exist: expected a .safetensors file")
        self.scale = float(scale)

    def apply(self, model: Any) -> Any:
        """The model with the adapter in its weights."""
        if find_spec("peft") is None:
            raise InputError("adapters need the package peft: `pip install omsdpm[adapters]`")
        from safetensors import safe_open

        prefix = "transformer" if "Transformer" in type(model).__name__ else "unet"
        with safe_open(self.weights, framework="pt") as file:
            names = file.keys()  # it is no dict that could be walked itself
            named = any(name.startswith(f"{prefix}.") for name in names)
        # From the file itself, which says ranks and scales beside the weights.
        model.load_lora_adapter(
            self.weights.resolve().parent, weight_name=self.weights.name, prefix=prefix if named else None,
            local_files_only=True, use_safetensors=True,
        )  # fmt: skip
        if not getattr(model, "peft_config", None):
            raise InputError(f"{self.weights} has no weights of an adapter for it")
        model.fuse_lora(lora_scale=self.scale)
        model.unload_lora()
        return model
