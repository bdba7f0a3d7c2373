"""CLIP's image embeddings, through torch-fidelity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omsdpm.scoring.features.fidelity import BATCH_SIZE, FidelityNetwork, opened

USUAL = "clip-vit-l-14-336px"
"""torch-fidelity's name of the model that CMMD takes."""


class ClipNetwork(FidelityNetwork):
    """CLIP's image embeddings (Radford et al., arXiv:2103.00020) of images in ``[-1, 1]``.

    Args:
        device: where the network runs.
        weights: OpenAI's file of the model, any of its sizes; by default that of ViT-L/14 at 336 pixels, downloaded.
        unit: embeddings of unit length.
        batch_size: images a forward pass.

    Raises:
        InputError: torch-fidelity is not installed, or the weights cannot be had, read or loaded.
    """

    def __init__(
        self,
        device: str = "cpu",
        weights: str | Path | None = None,
        unit: bool = False,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        def make() -> Any:
            from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP

            return FeatureExtractorCLIP(USUAL, ["clip"], feature_extractor_weights_path=weights)

        extractor = opened("clip", weights, make)
        super().__init__("clip", extractor, extractor.model.visual.output_dim, device, batch_size)
        self.unit = unit

    @classmethod
    def content(cls, weights: str | Path | None = None, unit: bool = False, **_: Any) -> dict[str, Any]:
        """What decides the features: the weights and their length."""
        return {"clip": "usual" if weights is None else Path(weights), "unit": unit}

    def features(self, batch: Any) -> Any:
        """``(b, C, H, W)`` images on the device to ``(b, dim)``."""
        embeddings = super().features(batch)
        return embeddings / embeddings.norm(dim=1, keepdim=True) if self.unit else embeddings
