"""Training of the digit network on scikit-learn's digits, from a seed."""

from __future__ import annotations

import datetime
import json
import math
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.files import check_writable, replacing
from omsdpm.images import Images, load_digits_images
from omsdpm.scoring.features.digits import DIM, DigitNetwork, new_network, state_of
from omsdpm.seeds import numpy_state, seed_torch, torch_generator

EPOCHS = 60
BATCH = 64
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-2
RECONSTRUCTION = 1.0
TEST_FRACTION = 0.25
COMMAND = "omsdpm-bench zoo train-features"


def train_digit_network(
    output: str | Path,
    seed: int = 0,
    *,
    epochs: int = EPOCHS,
    progress: Callable[[int, int, float], None] | None = None,
) -> dict[str, Any]:
    """Trains the digit network and writes ``output`` (safetensors) and its card beside it.

    Cross-entropy on three quarters of the digits, shifted by up to one pixel. A linear
    readout that has to redraw the image from the features is trained along and thrown
    away: it keeps in the features what the class alone does not need. With it, the
    distance of blurred digits from real ones, in units of the distance between half of
    the digits and all of them, is about three times as large as without.

    Args:
        output: the weight file; the card gets the suffix ``.json``.
        seed: of the weights' start, the batches, the shifts and the split.
        epochs: passes over the training images.
        progress: called as ``(epoch, epochs, loss)``.

    Returns:
        The card: held-out accuracy, seed, split sizes, versions, date, command.

    Raises:
        InputError: ``output`` cannot be written.
    """
    import torch
    from safetensors.torch import save_file

    output = Path(output)
    for path in (output, output.with_suffix(".json")):
        check_writable(path)
    images, labels, train, test = digits_split(seed)
    x, y = torch.from_numpy(images[train]), torch.from_numpy(labels[train])
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        seed_torch(seed)
        body, head = new_network()
        readout = torch.nn.Linear(DIM, 64)
    with _one_thread():
        _train(body, head, readout, x, y, seed, epochs, progress)

    with replacing(output) as temporary:
        weights = {name: tensor.detach().contiguous() for name, tensor in state_of(body, head).items()}
        save_file(weights, temporary, metadata={"format": "pt"})
    card = _card(output, images, labels, train, test, seed, epochs)
    with replacing(output.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(card, indent=2) + "\n")
    return card


def digits_split(seed: int = 0) -> tuple[Images, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """All digits and a stratified split: images ``(1797, 1, 8, 8)``, labels, train rows, held-out rows."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    labels = load_digits().target.astype(np.int64)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=TEST_FRACTION, stratify=labels, random_state=numpy_state(seed)
    )
    return load_digits_images(), labels, np.sort(train), np.sort(test)


def _train(
    body: Any,
    head: Any,
    readout: Any,
    x: Any,
    y: Any,
    seed: int,
    epochs: int,
    progress: Callable[[int, int, float], None] | None,
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
            shifted = _shift(x[rows], generator)
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


def _shift(images: Any, generator: Any) -> Any:
    """Moves each image by -1, 0 or 1 pixels each way, filled with background; half of them stay."""
    import torch
    from torch.nn import functional

    n = len(images)
    padded = functional.pad(images, (1, 1, 1, 1), value=-1.0)  # (n, 1, 10, 10)
    offsets = torch.randint(3, (n, 2), generator=generator)
    offsets[torch.rand(n, generator=generator) < 0.5] = 1
    rows = (offsets[:, :1] + torch.arange(8))[:, :, None]  # (n, 8, 1)
    columns = (offsets[:, 1:] + torch.arange(8))[:, None, :]  # (n, 1, 8)
    return padded[torch.arange(n)[:, None, None], 0, rows, columns][:, None]


def _card(
    weights: Path,
    images: Images,
    labels: NDArray[np.int64],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    seed: int,
    epochs: int,
) -> dict[str, Any]:
    import sklearn
    import torch

    network = DigitNetwork(weights=weights)
    correct = network.probabilities(images).argmax(axis=1) == labels
    return {
        "metric": "fd-digits",
        "features": DIM,
        "data": "scikit-learn load_digits, 1,797 images, 8x8",
        "held_out_accuracy": float(correct[test].mean()),
        "train_accuracy": float(correct[train].mean()),
        "train_images": len(train),
        "held_out_images": len(test),
        "seed": seed,
        "epochs": epochs,
        "command": f"{COMMAND} --seed {seed}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "torch": torch.__version__,
        },
    }
