"""``small``: classifiers that users train, for images that are neither Inception's nor digits.

One is trained on any folder of images by :func:`omsdpm.scoring.features.train_small.train_small_network`
(``omsdpm-bench features train``), and is called after the content of its weights, as two of them are two
networks: a distance in the features of one says nothing about that in the features of another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omsdpm.errors import InputError
from omsdpm.scoring.features.base import BATCH_SIZE
from omsdpm.scoring.features.classifier import SMALLEST, Architecture, Classifier, read_weights

LARGEST = 512
"""Pixels of a side of images that such a network takes."""

CLASSES = 100_000
"""Most classes."""

KEY, FORMAT = "small", 1
"""Of what a weight file says beside its tensors."""

NAME_DIGITS = 8


class SmallNetwork(Classifier):
    """Features of images of the shape that the network was trained on: ``(n, C, H, W)`` to ``(n, 64)`` float64.

    Args:
        weights: a file that ``omsdpm-bench features train`` wrote.
        name: what the network is called after its weights' content, ``small-1a2b3c4d``; refused for other weights.
        device: where the network runs.
        batch_size: images a forward pass.

    Raises:
        InputError: the weights cannot be read, are of another network, or are called otherwise.
    """

    def __init__(
        self, weights: str | Path, name: str | None = None, device: str = "cpu", batch_size: int = BATCH_SIZE
    ) -> None:
        path = Path(weights)
        metadata, state = read_weights(path, "weights of a small network")
        if name is not None and name != (known := small_name(path)):
            raise InputError(f"feature network {name!r}: {path} are the weights of {known}")
        super().__init__(read_architecture(metadata, path), state, path, device, batch_size)

    @classmethod
    def content(cls, weights: str | Path, **_: Any) -> dict[str, Any]:
        """What decides the features: the weights."""
        return {"small": Path(weights)}


def metadata_of(architecture: Architecture) -> dict[str, str]:
    """What a weight file says beside its tensors, in one entry: safetensors writes several in any order."""
    return {KEY: json.dumps({"format": FORMAT, **asdict(architecture)})}


def read_architecture(metadata: Mapping[str, str], path: Path) -> Architecture:
    """The architecture that a weight file says.

    Raises:
        InputError: it is none of a small network, or of one that there cannot be.
    """
    try:
        table = json.loads(metadata[KEY])
        version, channels, size, classes = (int(table[key]) for key in ("format", "channels", "size", "classes"))
        there = version == FORMAT and channels in (1, 3) and SMALLEST <= size <= LARGEST and 2 <= classes <= CLASSES
    except (KeyError, ValueError, TypeError):
        there = False
    if not there:
        raise InputError(f"{path} are no weights of a small network: give what `omsdpm-bench features train` wrote")
    return Architecture(channels, size, classes)


def small_name(weights: str | Path) -> str:
    """What a network is called after the content of its weights.

    Raises:
        InputError: they cannot be read.
    """
    from omsdpm.scoring.features.opening import file_digest

    return f"small-{file_digest(weights)[:NAME_DIGITS]}"
