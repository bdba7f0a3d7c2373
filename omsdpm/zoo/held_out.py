"""A loss that compares between members: of averaged weights, on images that none was trained on, from fixed noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from omsdpm.errors import InputError
from omsdpm.files import write_json
from omsdpm.networks.predictions import convert
from omsdpm.seeds import torch_generator
from omsdpm.tables import read_json, read_table

LOSS_FILE = "loss.json"
"""Beside a member's weights."""

TIMES = 8
"""Noise levels that each image is seen at, one from each eighth of the noise schedule."""

BATCH = 256

KEY = 2_000_000
"""Tells the generator of the noise from those of the training."""


class HeldOutLoss(BaseModel):
    """What ``loss.json`` says.

    Attributes:
        loss: mean squared error of the predicted noise, whatever the network predicts itself, so that members with
            different predictions compare.
        images: that it is of.
        held_out: whether these were kept out of the training; where a recipe keeps none out they are those trained on.
        seed: of the noise, and of which images are kept out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    loss: float
    images: int
    held_out: bool
    seed: int

    def write(self, folder: str | Path) -> None:
        """Writes the file, atomically."""
        write_json(Path(folder) / LOSS_FILE, self.model_dump())

    @classmethod
    def read(cls, folder: str | Path) -> HeldOutLoss | None:
        """The loss of a member's folder; ``None`` where it has none, as members of other origin.

        Raises:
            InputError: a damaged file.
        """
        path = Path(folder) / LOSS_FILE
        return read_table(cls, read_json(path, "remove it"), str(path)) if path.exists() else None

    def words(self) -> str:
        """``loss 0.0312 on 180 held-out images``."""
        return f"loss {self.loss:.4f} on {self.images} {'held-out' if self.held_out else 'training'} images"


def split_rows(count: int, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of images to train on, rising, and rows that are kept out, at least one unless ``share`` is 0.

    Raises:
        InputError: nothing would be left to train on.
    """
    if not share:
        return np.arange(count), np.arange(0)
    kept = max(1, round(share * count))
    if kept >= count:
        raise InputError(
            f"{count} images, {kept} of them held out for the loss: nothing is left to train on; give more images, or "
            "held_out = 0 at the top of the recipe"
        )
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[kept:]), np.sort(order[:kept])


def noise_loss(
    network: Any,
    images: Any,
    classes: Any,
    *,
    prediction_type: str,
    timesteps: Any,
    alphas: Any,
    sigmas: Any,
    seed: int,
    device: str,
) -> float:
    """Mean squared error of a network's predicted noise.

    Args:
        network: a ``UNet2DModel`` in evaluation mode.
        images: ``(n, C, H, W)`` in ``[-1, 1]``.
        classes: ``(n,)`` labels, or ``None`` for a network that takes none.
        prediction_type: what it predicts.
        timesteps, alphas, sigmas: ``(N,)`` model inputs of the noise schedule, with their alpha and sigma.
        seed: of the noise and of the noise levels, which are the same for every network.
        device: where the network is.
    """
    import torch

    generator = torch_generator(seed, KEY)
    total, count = 0.0, 0
    with torch.no_grad():
        for number in range(TIMES):
            place = (number + torch.rand(len(images), generator=generator)) / TIMES
            step = (place * len(timesteps)).long().clamp(max=len(timesteps) - 1)
            eps = torch.randn(images.shape, generator=generator)
            for rows in torch.arange(len(images)).split(BATCH):
                alpha, sigma = alphas[step[rows]], sigmas[step[rows]]
                x_t = alpha[:, None, None, None] * images[rows] + sigma[:, None, None, None] * eps[rows]
                given = {} if classes is None else {"class_labels": classes[rows].to(device)}
                output = network(x_t.to(device), timesteps[step[rows]].to(device), **given).sample.cpu()
                found = convert(output, x_t, alpha.double(), sigma.double(), prediction=prediction_type)
                total += float((found - eps[rows]).double().square().sum())
                count += found.numel()
    return total / count
