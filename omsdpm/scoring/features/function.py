"""``module:function``: a feature network that nobody registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.scoring.features.base import BATCH_SIZE


class FunctionFeatures:
    """A function or torch module, ``(b, C, H, W)`` float32 images in ``[-1, 1]`` to ``(b, ...)`` features.

    Args:
        function: what is called, with a tensor on ``device`` and without gradients.
        path: ``module:function``, for errors.
        device: where a torch module is put, and images are.
        batch_size: images a call.
    """

    def __init__(
        self, function: Callable[[Any], Any], path: str, device: str = "cpu", batch_size: int = BATCH_SIZE
    ) -> None:
        import torch

        if isinstance(function, torch.nn.Module):
            function = function.to(device).eval().requires_grad_(False)
        self.function = function
        self.path = path
        self.device = device
        self.batch_size = batch_size
        self._dim: int | None = None

    @property
    def dim(self) -> int:
        """Features an image, known once it was called.

        Raises:
            InputError: it was not.
        """
        if self._dim is None:
            raise InputError(f"feature network {self.path!r} was not called yet: its number of features is not known")
        return self._dim

    def __call__(self, images: Any) -> NDArray[np.float64]:
        """``(n, C, H, W)`` images, tensor or array, to ``(n, d)`` features, whatever has them flattened.

        Raises:
            InputError: images of another kind, or what comes back is no features, one row an image.
        """
        import torch

        images = torch.as_tensor(images)
        if images.ndim != 4 or not images.is_floating_point():
            raise InputError(f"images are {tuple(images.shape)} {images.dtype}: expected (n, C, H, W) floating point")
        rows = []
        with torch.inference_mode():
            for start in range(0, len(images), self.batch_size):
                rows.append(self._features(images[start : start + self.batch_size].to(self.device, torch.float32)))
        features = np.concatenate(rows) if rows else np.empty((0, self._dim or 0))
        self._dim = features.shape[1]
        return features

    def _features(self, batch: Any) -> NDArray[np.float64]:
        import torch

        given = self.function(batch)
        try:
            features = (given.cpu() if isinstance(given, torch.Tensor) else torch.as_tensor(given)).double().numpy()
        except (TypeError, ValueError, RuntimeError) as error:
            what = type(given).__name__
            raise InputError(f"feature network {self.path!r} returned {what}: expected numbers (n, d)") from error
        if features.ndim < 2 or len(features) != len(batch):
            raise InputError(
                f"feature network {self.path!r} returned shape {features.shape} for {len(batch)} images: "
                "expected (n, d), one row an image"
            )
        return features.reshape(len(batch), -1)
