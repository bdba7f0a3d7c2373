"""Small convolutional classifiers, of images of any size, whose last layer but one gives the features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.scoring.features.base import BATCH_SIZE, in_batches

DIM = 64
SMALLEST = 4
"""Pixels of a side, when there are no more halvings."""

WIDTH, WIDEST = 16, 64
"""Channels at full size, doubled with each halving up to the most."""


@dataclass(frozen=True)
class Architecture:
    """What decides the shapes of the weights.

    Attributes:
        channels: of the images, 1 or 3.
        size: of the images.
        classes: that it tells apart.
    """

    channels: int
    size: int
    classes: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(C, H, W)`` of the images."""
        return self.channels, self.size, self.size


class Classifier:
    """Features of ``(n, C, H, W)`` images in ``[-1, 1]``: ``(n, 64)`` float64.

    Images are clipped to ``[-1, 1]`` first, as they would be when saved.

    Args:
        architecture: shapes of images and weights.
        state: the weights, as :func:`state_of` names them.
        source: the file that they are from, for errors.
        device: where the network runs.
        batch_size: images a forward pass.

    Raises:
        InputError: the weights are of another network.
    """

    dim = DIM
    files = ("weights",)

    def __init__(
        self,
        architecture: Architecture,
        state: Mapping[str, Any],
        source: Path,
        device: str = "cpu",
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self.architecture = architecture
        self.device = device
        self.batch_size = batch_size
        self.body, self.head = _with_weights(architecture, state, source, device)

    def __call__(self, images: Any) -> NDArray[np.float64]:
        """``(n, C, H, W)`` images, tensor or array, to ``(n, 64)`` features.

        Raises:
            InputError: images of another shape, or NaN in them.
        """
        return in_batches(self._features, images, self.architecture.shape, DIM, self.device, self.batch_size)

    def probabilities(self, images: Any) -> NDArray[np.float64]:
        """``(n, C, H, W)`` images to the ``(n, classes)`` probabilities of the classes."""

        def classify(batch: Any) -> Any:
            return self.head(self._features(batch)).softmax(dim=1)

        shape, classes = self.architecture.shape, self.architecture.classes
        return in_batches(classify, images, shape, classes, self.device, self.batch_size)

    def _features(self, batch: Any) -> Any:
        return self.body(batch.clamp(-1, 1))


def new_network(architecture: Architecture) -> tuple[Any, Any]:
    """The untrained network: ``body`` (images to features) and ``head`` (features to logits).

    SiLU keeps the features smooth in the pixels and, unlike ReLU, cannot leave a feature
    dead, which would make the covariance singular.
    """
    from torch import nn

    size, width = architecture.size, WIDTH
    layers: list[Any] = [nn.Conv2d(architecture.channels, width, 3, padding=1), nn.SiLU()]
    while size > SMALLEST:
        wider = min(2 * width, WIDEST)
        layers += [nn.Conv2d(width, wider, 3, padding=1, stride=2), nn.SiLU()]
        layers += [nn.Conv2d(wider, wider, 3, padding=1), nn.SiLU()]
        size, width = (size + 1) // 2, wider
    body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * size**2, DIM), nn.SiLU())
    return body, nn.Linear(DIM, architecture.classes)


def state_of(body: Any, head: Any) -> dict[str, Any]:
    """Both parts' tensors under the names that the weight file uses."""
    parts = (("body.", body), ("head.", head))
    return {prefix + name: tensor for prefix, part in parts for name, tensor in part.state_dict().items()}


def read_weights(path: Path, what: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Metadata and tensors of a weight file; ``what`` it is, for errors.

    Raises:
        InputError: it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()  # it is no dict that could be walked itself
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read {what} {path}: {error}; train them anew") from error


def _with_weights(architecture: Architecture, state: Mapping[str, Any], source: Path, device: str) -> tuple[Any, Any]:
    """The network with weights, in evaluation mode."""
    import torch

    with torch.device("meta"):  # shapes only: no random numbers are drawn for weights to be replaced
        body, head = new_network(architecture)
    expected = {name: tuple(tensor.shape) for name, tensor in state_of(body, head).items()}
    if {name: tuple(tensor.shape) for name, tensor in state.items()} != expected:
        raise InputError(f"{source} holds the weights of another network: train them anew")
    for prefix, part in (("body.", body), ("head.", head)):
        part.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}, assign=True)
        part.requires_grad_(False).eval().to(device)
    return body, head
