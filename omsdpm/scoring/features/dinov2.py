"""DINOv2 features: torch-fidelity's extractor, and the vision transformer for weights that lie in a file.

The extractor has the network's code and weights downloaded by ``torch.hub`` and takes no file. With a
file, the transformer below is put into the extractor, which prepares images the same way.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omsdpm.errors import InputError, one_line
from omsdpm.scoring.features.fidelity import BATCH_SIZE, FidelityNetwork, opened

if TYPE_CHECKING:
    from torch import Tensor

USUAL = "dinov2-vit-l-14"
"""torch-fidelity's name of ViT-L/14."""

HEAD = 64
"""Features of an attention head, in every size of the network."""

EPSILON = 1e-6
"""Of the layer norms."""

UNUSED = ("mask_token",)
"""Weights that only training needs."""


class DinoNetwork(FidelityNetwork):
    """The class token of DINOv2 (Oquab et al., arXiv:2304.07193) of images in ``[-1, 1]``.

    Args:
        device: where the network runs.
        weights: a file of the authors', ``dinov2_vitl14_pretrain.pth`` or another size up to ViT-L, without
            registers; by default that one and its code, downloaded by ``torch.hub``.
        batch_size: images a forward pass.

    Raises:
        InputError: torch-fidelity is not installed, or the weights cannot be had, read or loaded.
    """

    def __init__(self, device: str = "cpu", weights: str | Path | None = None, batch_size: int = BATCH_SIZE) -> None:
        extractor = opened("dinov2", weights, lambda: _extractor(weights))
        super().__init__("dinov2", extractor, extractor.model.embed_dim, device, batch_size)

    @classmethod
    def content(cls, weights: str | Path | None = None, **_: Any) -> dict[str, Any]:
        """What decides the features: the weights."""
        return {"dinov2": "usual" if weights is None else Path(weights)}


def _extractor(weights: str | Path | None) -> Any:
    from torch_fidelity.feature_extractor_base import FeatureExtractorBase
    from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2

    if weights is None:
        return FeatureExtractorDinoV2(USUAL, ["dinov2"])

    class FromFile(FeatureExtractorDinoV2):
        """The extractor around a network that was not downloaded."""

        def __init__(self, model: Any) -> None:
            import torch

            FeatureExtractorBase.__init__(self, USUAL, ["dinov2"])
            self.feature_extractor_internal_dtype = torch.float32
            self.model = model

    return FromFile(vision_transformer(_read(Path(weights)), str(weights))).requires_grad_(False).eval()


def _read(path: Path) -> dict[str, Tensor]:
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise InputError(f"dinov2 weights {path} cannot be read ({one_line(error)})") from error
    if not isinstance(state, dict):
        raise InputError(f"dinov2 weights {path} hold a {type(state).__name__}, no state dict")
    return {key: value for key, value in state.items() if key not in UNUSED}


def vision_transformer(state: dict[str, Tensor], source: str) -> Any:
    """DINOv2's network with the weights of a state dict, which says its size.

    Args:
        state: as the authors' files have it.
        source: the file, for errors.

    Returns:
        A module ``(b, 3, H, W) -> (b, d)`` with the attribute ``embed_dim``; sides are multiples of the patch.

    Raises:
        InputError: weights of another network.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    class Attention(nn.Module):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.heads = dim // HEAD
            self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

        def forward(self, x: Tensor) -> Tensor:
            b, n, dim = x.shape
            q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, HEAD).permute(2, 0, 3, 1, 4)  # each (b, heads, n, 64)
            return self.proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, dim))

    class Mlp(nn.Module):
        def __init__(self, dim: int, hidden: int) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc2(functional.gelu(self.fc1(x)))

    class Scale(nn.Module):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.gamma = nn.Parameter(torch.ones(dim))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.gamma

    class Block(nn.Module):
        def __init__(self, dim: int, hidden: int) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(dim, EPSILON), nn.LayerNorm(dim, EPSILON)
            self.attn, self.mlp = Attention(dim), Mlp(dim, hidden)
            self.ls1, self.ls2 = Scale(dim), Scale(dim)

        def forward(self, x: Tensor) -> Tensor:
            x = x + self.ls1(self.attn(self.norm1(x)))
            return x + self.ls2(self.mlp(self.norm2(x)))

    class VisionTransformer(nn.Module):
        def __init__(self, dim: int, depth: int, hidden: int, patch: int, positions: int) -> None:
            super().__init__()
            self.embed_dim = dim
            self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
            self.pos_embed = nn.Parameter(torch.zeros(1, positions, dim))
            self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, dim, patch, stride=patch)})
            self.blocks = nn.ModuleList(Block(dim, hidden) for _ in range(depth))
            self.norm = nn.LayerNorm(dim, EPSILON)

        def forward(self, images: Tensor) -> Tensor:
            patches = self.patch_embed["proj"](images)  # (b, d, h, w)
            rows, columns = patches.shape[2:]
            x = torch.cat([self.cls_token.expand(len(images), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
            x = x + self._positions(rows, columns)
            for block in self.blocks:
                x = block(x)
            class_token: Tensor = self.norm(x)[:, 0]
            return class_token

        def _positions(self, rows: int, columns: int) -> Tensor:
            side = round((self.pos_embed.shape[1] - 1) ** 0.5)
            if (rows, columns) == (side, side):
                return self.pos_embed
            grid = self.pos_embed[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
            # The authors give the scale, with an offset that keeps rounding from losing a row, and not the size.
            scale = ((rows + 0.1) / side, (columns + 0.1) / side)
            grid = functional.interpolate(grid, scale_factor=scale, mode="bicubic")
            return torch.cat([self.pos_embed[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)

    depth = len({key.split(".")[1] for key in state if key.startswith("blocks.")})
    try:
        dim, _, patch, _ = state["patch_embed.proj.weight"].shape
        network = VisionTransformer(
            dim, depth, state["blocks.0.mlp.fc1.weight"].shape[0], patch, state["pos_embed"].shape[1]
        )
        network.load_state_dict(state)
    except (KeyError, RuntimeError, ValueError, AttributeError) as error:
        reason = one_line(error)[:160]
        raise InputError(
            f"dinov2 weights {source} are of another network ({reason}): ViT up to L, no registers"
        ) from error
    return network
