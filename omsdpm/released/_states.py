"""Telling the checkpoints of the field apart by the names of their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omsdpm.errors import InputError

if TYPE_CHECKING:
    import torch

PREDICTOR = "a predictor of the OMS-DPM release"
DDPM_UNET = "a DDPM U-Net of the DDIM code base"

_SIGNS = {
    PREDICTOR: ("model_embedder.embedder.weight", "ms_encoder.rnn.weight_ih_l0"),
    DDPM_UNET: ("temb.dense.0.weight", "conv_in.weight", "mid.block_1.norm1.weight"),
    "a guided-diffusion or improved-ddpm U-Net": ("time_embed.0.weight", "input_blocks.0.0.weight"),
    "a diffusers U-Net": ("time_embedding.linear_1.weight", "conv_in.weight"),
    "an SDE (NCSN++) U-Net": ("all_modules.0.weight",),
}


def state_of(content: Any, path: Path, expected: str) -> dict[str, torch.Tensor]:
    """``content`` as a state dict of the kind ``expected``, without the prefix of ``DataParallel``.

    Raises:
        InputError: it is none, or of another kind, which the message names; or a tensor
            holds NaN or infinity.
    """
    import torch

    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]  # Lightning's wrapping, to say what is inside
    tensors = isinstance(content, Mapping) and any(isinstance(value, torch.Tensor) for value in content.values())
    if not tensors:
        raise InputError(f"{path} holds no network's weights: expected {expected}")
    state = {str(name).removeprefix("module."): value for name, value in content.items()}
    kind = _kind(state)
    if kind != expected:
        raise InputError(f"{path} is {kind}: expected {expected}")
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise InputError(f"{path}: {name!r} is no tensor: expected {expected}")
        if not torch.isfinite(value).all():
            raise InputError(f"{path}: {name!r} holds NaN or infinity: copy or download it again")
    return state


def _kind(state: Mapping[str, Any]) -> str:
    if any(name.startswith("model.diffusion_model.") for name in state):
        return "a Stable Diffusion (latent diffusion) checkpoint"
    for kind, signs in _SIGNS.items():
        if all(name in state for name in signs):
            return kind
    return f"a checkpoint of another network (its first tensor is {next(iter(state))!r})"
