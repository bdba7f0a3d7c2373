"""Training of a small classifier, from a seed: what networks for digits and for other images share."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.files import replacing
from omsdpm.images import Images, Labels
from omsdpm.scoring.features.classifier import DIM, Architecture, new_network, state_of
from omsdpm.seeds import numpy_state, seed_torch, torch_generator

BATCH = 64
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-2
RECONSTRUCTION = 1.0
TEST_FRACTION = 0.25

Told = Callable[[int, int, float], object]
"""Called as ``(epoch, epochs, loss)``."""


def trained(
    architecture: Architecture,
    images: Images,
    labels: Labels,
    *,
    seed: int,
    epochs: int,
    background: float | None = None,
    device: str = "cpu",
    progress: Told | None = None,
) -> dict[str, Any]:
    """The weights of a classifier, trained on images with labels.

    Cross-entropy on the images, shifted by up to an eighth. A linear readout that has to redraw the
    image from the features is trained along and thrown away: it keeps in the features what the class
    alone does not need. With it, the distance of blurred digits from real ones, in units of the
    distance between half of the digits and all of them, is about three times as large as without.

    Args:
        architecture: of the classifier.
        images: ``(n, C, H, W)`` in ``[-1, 1]``.
        labels: ``(n,)`` from 0.
        seed: of the weights' start, the batches and the shifts.
        epochs: passes over the images.
        background: what comes in at the edges of shifted images; what lies there without it.
        device: where it is trained; only the CPU gives the same weights everywhere.
        progress: told after each epoch.
    """
    import torch

    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        seed_torch(seed)
        body, head = new_network(architecture)
        readout = torch.nn.Linear(DIM, math.prod(architecture.shape))
    for part in (body, head, readout):
        part.to(device)
    x, y = torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device)
    with _one_thread():
        _train(body, head, readout, x, y, seed, epochs, background, progress)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state_of(body, head).items()}


def write_weights(path: Path, state: dict[str, Any], metadata: dict[str, str]) -> None:
    """Writes weights as safetensors, atomically."""
    from safetensors.torch import save_file

    with replacing(path) as temporary:
        save_file(state, temporary, metadata=metadata)


def stratified_split(labels: Labels, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows for training and a quarter that is held out, of each class alike."""
    from sklearn.model_selection import train_test_split

    train, test = train_test_split(
        np.arange(len(labels)), test_size=TEST_FRACTION, stratify=labels, random_state=numpy_state(seed)
    )
    return np.sort(train), np.sort(test)


def versions() -> dict[str, str]:
    """Of what decides the weights."""
    import sklearn
    import torch

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__,
    }


def _train(
    body: Any,
    head: Any,
    readout: Any,
    x: Any,
    y: Any,
    seed: int,
    epochs: int,
    background: float | None,
    progress: Told | None,
) -> None:
    """Minimizes classification and redrawing loss on images ``x`` and labels ``y``, in place."""
    import torch
    from torch.nn import functional

    parameters = [*body.parameters(), *head.parameters(), *readout.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    generator = torch_generator(seed)
    batches = math.ceil(len(x) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * batches)
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(x), generator=generator).split(BATCH):
            shifted = _shift(x[rows], generator, background)
            features = body(shifted)
            loss = functional.cross_entropy(head(features), y[rows], label_smoothing=0.05)
            loss = loss + RECONSTRUCTION * functional.mse_loss(readout(features), shifted.flatten(1))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        if progress is not None:
            progress(epoch + 1, epochs, total / len(x))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in another order give other weights: one thread makes them the same everywhere."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _shift(images: Any, generator: Any, background: float | None) -> Any:
    """Moves each image by up to an eighth each way, in whole pixels; about half of them stay."""
    import torch
    from torch.nn import functional

    n, _, height, width = images.shape
    most = max(1, height // 8)
    if background is None:
        padded = functional.pad(images, (most,) * 4, mode="replicate")
    else:
        padded = functional.pad(images, (most,) * 4, value=background)
    offsets = torch.randint(2 * most + 1, (n, 2), generator=generator)
    offsets[torch.rand(n, generator=generator) < 0.5] = most
    rows = (offsets[:, :1] + torch.arange(height))[:, :, None].to(images.device)  # (n, H, 1)
    columns = (offsets[:, 1:] + torch.arange(width))[:, None, :].to(images.device)  # (n, 1, W)
    number = torch.arange(n)[:, None, None]
    return torch.stack([padded[number, c, rows, columns] for c in range(images.shape[1])], dim=1)  # (n, C, H, W)
