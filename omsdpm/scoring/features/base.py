"""What turns images into features: the contract, the networks by name, batching.

A feature network is registered in the entry-point group ``omsdpm.features``: a class that is made
with the parameters in brackets, and with ``device`` where it takes that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from omsdpm.devices import to_host
from omsdpm.errors import InputError
from omsdpm.plugins import Registry

BATCH_SIZE = 512

FEATURES = Registry("feature network", "omsdpm.features", needs=("dim",))


@runtime_checkable
class FeatureNetwork(Protocol):
    """Images to features.

    A class may also have ``files``, names of those of its parameters that are paths of files,
    and a class method ``content(**parameters)``, see :func:`omsdpm.scoring.features.features_digest`.
    """

    @property
    def dim(self) -> int:
        """How many features an image has."""

    def __call__(self, images: Any, /) -> NDArray[np.float64]:
        """``(n, C, H, W)`` images in ``[-1, 1]``, tensor or array, to ``(n, dim)`` float64."""


def in_batches(
    function: Callable[[Any], Any],
    images: Any,
    shape: tuple[int | None, int | None, int | None],
    dim: int,
    device: str,
    batch_size: int,
) -> NDArray[np.float64]:
    """Runs ``function`` on batches of images, without gradients, and stacks what it returns.

    Args:
        function: ``(b, C, H, W)`` float32 tensor on ``device`` to a ``(b, dim)`` tensor.
        images: ``(n, C, H, W)`` in ``[-1, 1]``, tensor or array.
        shape: the ``(C, H, W)`` the function takes; None where any will do.
        dim: features an image.
        device: where the function runs.
        batch_size: images a call.

    Raises:
        InputError: images of another shape or type, or NaN or infinity in them.
    """
    import torch

    try:
        images = torch.as_tensor(images)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"images of type {type(images).__name__}: expected a tensor or array (n, C, H, W)") from error
    wanted = "(n, " + ", ".join(name if size is None else str(size) for name, size in zip("CHW", shape, strict=True))
    fits = images.ndim == 4 and all(size in (None, given) for size, given in zip(shape, images.shape[1:], strict=True))
    if not fits or not images.is_floating_point():
        raise InputError(
            f"images are {tuple(images.shape)} {images.dtype}: expected {wanted}) floating point in [-1, 1]"
        )
    features = np.empty((len(images), dim))
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size].to(device, torch.float32)
            if not torch.isfinite(batch).all():
                raise InputError(f"images {start} to {start + len(batch) - 1} hold NaN or infinity: check the sampler")
            features[start : start + len(batch)] = to_host(function(batch)).double().numpy()
    return features
