"""The digit network: a small classifier of 8x8 handwritten digits and its 64 features.

The features come from a classifier trained on real digits by
:func:`omsdpm.scoring.features.train_digits.train_digit_network`, whose weights and card (accuracy, seed,
split, versions) are committed in ``omsdpm/scoring/features/data``. A distance in these features is a
Fréchet distance but not an FID, so the metric is called ``fd-digits`` everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omsdpm.scoring.features.base import BATCH_SIZE
from omsdpm.scoring.features.classifier import Architecture, Classifier, read_weights

DIGIT_WEIGHTS = Path(__file__).parent / "data" / "digits.safetensors"
DIGIT_CARD = DIGIT_WEIGHTS.with_suffix(".json")
DIGITS = Architecture(channels=1, size=8, classes=10)


class DigitNetwork(Classifier):
    """Features of ``(n, 1, 8, 8)`` images in ``[-1, 1]``: ``(n, 64)`` float64.

    Images are clipped to ``[-1, 1]`` first, as they would be when saved.

    Args:
        device: where the network runs.
        weights: a file that ``train_digit_network`` wrote; the committed one by default.
        batch_size: images a forward pass.

    Raises:
        InputError: the weights cannot be read or are of another network.
    """

    def __init__(self, device: str = "cpu", weights: str | Path | None = None, batch_size: int = BATCH_SIZE) -> None:
        path = Path(weights or DIGIT_WEIGHTS)
        _, state = read_weights(path, "digit weights")
        super().__init__(DIGITS, state, path, device, batch_size)

    @classmethod
    def content(cls, weights: str | Path | None = None, **_: Any) -> dict[str, Any]:
        """What decides the features: the weights."""
        return {"digits": Path(weights or DIGIT_WEIGHTS)}
