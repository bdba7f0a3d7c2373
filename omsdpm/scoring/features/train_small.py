"""Training of a small feature network on any folder of images with a folder for each class."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np

from omsdpm.errors import InputError
from omsdpm.files import check_writable, replacing
from omsdpm.images import image_paths, load_folder_labels, read_images
from omsdpm.scoring.features.classifier import DIM, SMALLEST, Architecture
from omsdpm.scoring.features.small import CLASSES, LARGEST, SmallNetwork, metadata_of, small_name
from omsdpm.scoring.features.training import Told, stratified_split, trained, versions, write_weights
from omsdpm.scoring.reference import reference_digest

EPOCHS = 30
LEAST = 4
"""Images of a class, a quarter of which is held out."""

COMMAND = "omsdpm-bench features train"


def train_small_network(
    folder: str | Path,
    output: str | Path,
    *,
    size: int | None = None,
    channels: int | None = None,
    seed: int = 0,
    epochs: int = EPOCHS,
    device: str = "cpu",
    progress: Told | None = None,
) -> dict[str, Any]:
    """Trains a feature network on a folder of images and writes ``output`` (safetensors) and its card beside it.

    On three quarters of the images, see :func:`omsdpm.scoring.features.training.trained`.

    Args:
        folder: of images, in a folder for each class.
        output: the weight file; the card gets the suffix ``.json``.
        size: to which images are resized, that of the images which will be scored; that of the first
            image without it.
        channels: 1 or 3; those of the first image without it.
        seed: of the weights' start, the batches, the shifts and the split.
        epochs: passes over the training images.
        device: where it is trained; only the CPU gives the same weights everywhere.
        progress: called as ``(epoch, epochs, loss)``.

    Returns:
        The card: the network's name after its content, held-out accuracy, images, seed, versions, date, command.

    Raises:
        InputError: no classes, or few images of one; images that cannot be read or are not square where no
            size is given; a size that the network cannot have; ``output`` cannot be written.
    """
    folder, output = Path(folder), Path(output)
    for path in (output, output.with_suffix(".json")):
        check_writable(path)
    paths = image_paths(folder)
    labels = load_folder_labels(folder)
    counts = np.bincount(labels)
    if not 2 <= len(counts) <= CLASSES:
        raise InputError(
            f"images in {folder} are of {len(counts)} class: expected a folder for each class, two at least, as the "
            "network learns to tell them apart"
        )
    if counts.min() < LEAST:
        raise InputError(
            f"class {int(counts.argmin())} of {folder} has {counts.min()} image(s): expected {LEAST} or more"
        )
    architecture = Architecture(*_shape(paths[0], size, channels), classes=len(counts))
    images = read_images(paths, architecture.size, architecture.channels)
    train, test = stratified_split(labels, seed)
    state = trained(
        architecture, images[train], labels[train], seed=seed, epochs=epochs, device=device, progress=progress
    )
    write_weights(output, state, metadata_of(architecture))
    correct = SmallNetwork(output).probabilities(images).argmax(axis=1) == labels
    card = {
        "name": small_name(output),
        "features": DIM,
        "images": len(images),
        "images_digest": reference_digest(str(folder)),
        "shape": list(architecture.shape),
        "classes": architecture.classes,
        "held_out_accuracy": float(correct[test].mean()),
        "train_accuracy": float(correct[train].mean()),
        "held_out_images": len(test),
        "seed": seed,
        "epochs": epochs,
        "command": f"{COMMAND} IMAGES --size {architecture.size} --channels {architecture.channels} "
        f"--seed {seed} --epochs {epochs}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": versions(),
    }
    with replacing(output.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(card, indent=2) + "\n")
    return card


def _shape(path: Path, size: int | None, channels: int | None) -> tuple[int, int]:
    """Channels and size: as given, or of an image."""
    from PIL import Image

    if channels is None or size is None:
        try:
            with Image.open(path) as image:
                width, height, gray = *image.size, image.mode in ("1", "L", "F") or image.mode.startswith("I")
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"cannot read image {path}: {error}") from error
        if size is None and width != height:
            raise InputError(f"image {path} is of {width}x{height}: give --size, that of the images which are scored")
        size, channels = size or width, channels or (1 if gray else 3)
    if not SMALLEST <= size <= LARGEST:
        raise InputError(f"images of {size} pixels: expected {SMALLEST} to {LARGEST}; give another --size")
    return channels, size
