"""``omsdpm-bench features``: networks that images are compared in."""

from __future__ import annotations

from pathlib import Path

import click

from studies.cli import _options
from studies.cli._lazy import LazyGroup

COMMANDS = {"train": "studies.cli.features:train"}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def features() -> None:
    """Train the networks in whose features images are compared."""


@click.command()
@click.argument("images", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="File for the weights.")
@click.option(
    "--size", type=click.IntRange(min=1),
    help="Pixels of the images that will be scored.  [default: that of the first image]",
)  # fmt: skip
@click.option("--channels", type=click.Choice(["1", "3"]), help="Of them.  [default: those of the first image]")
@click.option("--epochs", type=click.IntRange(min=1), default=30, show_default=True, help="Passes over the images.")
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True,
    help="Of the weights, the batches and the shifts.",
)  # fmt: skip
@_options.device
def train(
    images: Path, output: Path, size: int | None, channels: str | None, epochs: int, seed: int, device: str
) -> None:
    """Train a small feature network on IMAGES, a folder with a folder for each class.

    For images that are neither Inception's nor digits. The network is called after the content of its
    weights, and the metric that uses it is printed.
    """
    from omsdpm.devices import resolve_device
    from omsdpm.scoring.features.train_small import train_small_network
    from studies.cli._console import Reporter, stdout

    with Reporter().part("Training a feature network") as step:
        card = train_small_network(
            images, output, size=size, channels=None if channels is None else int(channels), seed=seed, epochs=epochs,
            device=resolve_device(device), progress=lambda epoch, epochs, loss: step(epoch, epochs),
        )  # fmt: skip
    console = stdout()
    shape = "x".join(map(str, card["shape"]))
    console.print(
        f"{output}: {card['name']}, {card['classes']} classes of {shape}, "
        f"held-out accuracy {card['held_out_accuracy']:.2%}",
        soft_wrap=True, highlight=False,
    )  # fmt: skip
    console.print(
        f"metric: fd[features=small[name={card['name']},weights={output}]]",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
