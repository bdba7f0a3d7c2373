"""Feature networks of torch-fidelity: images as the bytes that it takes, and what it raises in one line."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError, one_line
from omsdpm.scoring.features.base import in_batches

BATCH_SIZE = 32  # of 224 to 336 pixels in a ViT-L: about 1 GB


class FidelityNetwork:
    """Features of ``(n, C, H, W)`` images in ``[-1, 1]``, C 1 or 3, by one of torch-fidelity's extractors.

    Images are rounded to bytes first, gray ones are repeated to three channels, and the extractor
    resizes them, linearly, to what its network takes.

    Args:
        name: the network in a word, for errors.
        extractor: of torch-fidelity: bytes ``(b, 3, H, W)`` to a tuple with ``(b, dim)`` features.
        dim: how many features it gives.
        device: where it runs.
        batch_size: images a forward pass.
    """

    files = ("weights",)

    def __init__(self, name: str, extractor: Any, dim: int, device: str, batch_size: int) -> None:
        self.name = name
        self.extractor = extractor.to(device)
        self._dim = dim
        self.device = device
        self.batch_size = batch_size

    @property
    def dim(self) -> int:
        """Features an image."""
        return self._dim

    def __call__(self, images: Any) -> NDArray[np.float64]:
        """``(n, C, H, W)`` images, tensor or array, to ``(n, dim)`` features.

        Raises:
            InputError: images of another shape, or NaN in them.
        """
        channels = images.shape[1] if getattr(images, "ndim", 0) == 4 else None
        if channels not in (None, 1, 3):
            raise InputError(f"images of {channels} channels: {self.name} takes 1 (gray) or 3 (RGB)")
        return in_batches(self.features, images, (None, None, None), self.dim, self.device, self.batch_size)

    def features(self, batch: Any) -> Any:
        """``(b, C, H, W)`` images on the device to ``(b, dim)``."""
        import torch

        pixels = ((batch.double() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return self.extractor(pixels.expand(-1, 3, -1, -1))[0]


def opened(name: str, weights: str | Path | None, make: Callable[[], Any]) -> Any:
    """What ``make`` gives, an extractor of torch-fidelity.

    Args:
        name: the network in a word.
        weights: the file that is read; ``None`` where they are downloaded.
        make: imports torch-fidelity and makes the extractor.

    Raises:
        InputError: torch-fidelity is not installed, or the weights cannot be had, read or loaded.
    """
    hint = f"give the path of its weights, {name}[weights=PATH]"
    if weights is not None and not Path(weights).is_file():
        raise InputError(f"{name} weights {weights} do not exist; {hint}")
    try:
        return make()
    except ImportError as error:
        raise InputError(f"{name} needs torch-fidelity: pip install 'omsdpm[metrics]' ({one_line(error)})") from error
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError, LookupError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        if weights is None:
            raise InputError(f"cannot download the {name} weights ({one_line(error)}); {hint}") from error
        raise InputError(
            f"{name} weights {weights} cannot be read or are of another network ({one_line(error)})"
        ) from error
