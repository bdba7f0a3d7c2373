"""Training of the digit network on scikit-learn's digits, from a seed."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.files import check_writable, replacing
from omsdpm.images import Images, load_digits_images
from omsdpm.scoring.features.classifier import DIM
from omsdpm.scoring.features.digits import DIGITS, DigitNetwork
from omsdpm.scoring.features.training import Told, stratified_split, trained, versions, write_weights

EPOCHS = 60
BACKGROUND = -1.0
COMMAND = "omsdpm-bench zoo train-features"


def train_digit_network(
    output: str | Path,
    seed: int = 0,
    *,
    epochs: int = EPOCHS,
    progress: Told | None = None,
) -> dict[str, Any]:
    """Trains the digit network and writes ``output`` (safetensors) and its card beside it.

    On three quarters of the digits, see :func:`omsdpm.scoring.features.training.trained`.

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
    output = Path(output)
    for path in (output, output.with_suffix(".json")):
        check_writable(path)
    images, labels, train, test = digits_split(seed)
    state = trained(
        DIGITS, images[train], labels[train], seed=seed, epochs=epochs, background=BACKGROUND, progress=progress
    )
    write_weights(output, state, {"format": "pt"})
    card = _card(output, images, labels, train, test, seed, epochs)
    with replacing(output.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(card, indent=2) + "\n")
    return card


def digits_split(seed: int = 0) -> tuple[Images, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """All digits and a stratified split: images ``(1797, 1, 8, 8)``, labels, train rows, held-out rows."""
    from sklearn.datasets import load_digits

    labels = load_digits().target.astype(np.int64)
    return load_digits_images(), labels, *stratified_split(labels, seed)


def _card(
    weights: Path,
    images: Images,
    labels: NDArray[np.int64],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    seed: int,
    epochs: int,
) -> dict[str, Any]:
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
        "versions": versions(),
    }
