"""The digit network: a small classifier of 8x8 handwritten digits and its 64 features.

The features come from a classifier trained on real digits by
:func:`omsdpm.scoring.features.train_digits.train_digit_network`, whose weights and card (accuracy, seed,
split, versions) are committed in ``omsdpm/scoring/features/data``. A distance in these features is a
Fréchet distance but not an FID, so the metric is called ``fd-digits`` everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.scoring.features.base import BATCH_SIZE, in_batches

DIGIT_WEIGHTS = Path(__file__).parent / "data" / "digits.safetensors"
DIGIT_CARD = DIGIT_WEIGHTS.with_suffix(".json")
DIM = 64
CLASSES = 10


class DigitNetwork:
    """Features of ``(n, 1, 8, 8)`` images in ``[-1, 1]``: ``(n, 64)`` float64.

    Images are clipped to ``[-1, 1]`` first, as they would be when saved.

    Args:
        device: where the network runs.
        weights: a file that ``train_digit_network`` wrote; the committed one by default.
        batch_size: images a forward pass.

    Raises:
        InputError: the weights cannot be read or are of another network.
    """

    dim = DIM
    files = ("weights",)

    def __init__(self, device: str = "cpu", weights: str | Path | None = None, batch_size: int = BATCH_SIZE) -> None:
        self.device = device
        self.batch_size = batch_size
        self.body, self.head = build(weights or DIGIT_WEIGHTS, device)

    @classmethod
    def content(cls, weights: str | Path | None = None, **_: Any) -> dict[str, Any]:
        """What decides the features: the weights."""
        return {"digits": Path(weights or DIGIT_WEIGHTS)}

    def __call__(self, images: Any) -> NDArray[np.float64]:
        """``(n, 1, 8, 8)`` images, tensor or array, to ``(n, 64)`` features.

        Raises:
            InputError: images of another shape, or NaN in them.
        """
        return in_batches(self._features, images, (1, 8, 8), DIM, self.device, self.batch_size)

    def probabilities(self, images: Any) -> NDArray[np.float64]:
        """``(n, 1, 8, 8)`` images to the ``(n, 10)`` probabilities of the digits 0 to 9."""

        def classify(batch: Any) -> Any:
            return self.head(self._features(batch)).softmax(dim=1)

        return in_batches(classify, images, (1, 8, 8), CLASSES, self.device, self.batch_size)

    def _features(self, batch: Any) -> Any:
        return self.body(batch.clamp(-1, 1))


def new_network() -> tuple[Any, Any]:
    """The untrained network: ``body`` (images to features) and ``head`` (features to logits).

    SiLU keeps the features smooth in the pixels and, unlike ReLU, cannot leave a feature
    dead, which would make the covariance singular.
    """
    from torch import nn

    body = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(16, 32, 3, padding=1, stride=2),
        nn.SiLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, DIM),
        nn.SiLU(),
    )
    return body, nn.Linear(DIM, CLASSES)


def build(weights: str | Path, device: str = "cpu") -> tuple[Any, Any]:
    """The network with the weights of a file, in evaluation mode."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    with torch.device("meta"):  # shapes only: no random numbers are drawn for weights to be replaced
        body, head = new_network()
    path = Path(weights)
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read digit weights {path}: {error}; write them with train_digit_network") from error
    expected = {name: tuple(tensor.shape) for name, tensor in state_of(body, head).items()}
    if {name: tuple(tensor.shape) for name, tensor in state.items()} != expected:
        raise InputError(f"{path} holds the weights of another network: give a file that train_digit_network wrote")
    for prefix, part in (("body.", body), ("head.", head)):
        part.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}, assign=True)
        part.requires_grad_(False).eval().to(device)
    return body, head


def state_of(body: Any, head: Any) -> dict[str, Any]:
    """Both parts' tensors under the names that the weight file uses."""
    parts = (("body.", body), ("head.", head))
    return {prefix + name: tensor for prefix, part in parts for name, tensor in part.state_dict().items()}
