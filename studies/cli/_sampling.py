"""What ``sample`` and ``validate`` share: how images are drawn, and what they are scored with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from omsdpm.errors import InputError
from studies.cli import _options

if TYPE_CHECKING:
    from omsdpm.fid import Statistics
    from omsdpm.scoring.features import FeatureNetwork
    from omsdpm.scoring.sampler import Sampler
    from omsdpm.solvers import ScheduleSpace
    from omsdpm.zoo import ModelZoo

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Sampling:
    """The options of :func:`sampling_options`, as given."""

    spacing: str
    batch_size: int
    noise: Path | None
    label: str | None
    metric: str | None
    stats: str | None
    inception_weights: Path | None
    device: str

    @classmethod
    def take(cls, given: dict[str, Any]) -> Sampling:
        """Takes its own out of a command's arguments."""
        return cls(**{field.name: given.pop(field.name) for field in fields(cls)})

    def check(self, metric: str | None) -> None:
        """Raises :class:`InputError` where a score by ``metric`` has nothing to be compared with."""
        if metric == "fid" and self.stats is None:
            raise InputError(
                "FID needs the statistics of the real images: give --stats FILE.npz (keys mu and sigma) or a folder"
            )

    def scorer(self, metric: str, zoo: ModelZoo) -> tuple[FeatureNetwork, Statistics]:
        """The metric's feature network and the reference's statistics."""
        from omsdpm.scoring.features import make_feature_network
        from omsdpm.scoring.measurement import DIGITS, load_reference

        network = make_feature_network(metric, device=zoo.device, inception_weights=self.inception_weights)
        return network, load_reference(self.stats or DIGITS, network, zoo.shape)

    def sampler(self, zoo: ModelZoo, space: ScheduleSpace, eta: float = 0.0) -> Sampler:
        """What draws the images."""
        from omsdpm.scoring.sampler import Sampler, read_noise

        start = None if self.noise is None else read_noise(self.noise)
        spacing: Any = self.spacing
        return Sampler(zoo, space, spacing, eta, self.batch_size, start, self.label)


def sampling_options(command: Command) -> Command:
    """Options that become a :class:`Sampling`."""
    options = [
        click.option(
            "--spacing",
            type=click.Choice(["logSNR", "time_uniform"]),
            default="logSNR",
            show_default=True,
            help="Of the single-step DPM-Solvers.",
        ),
        click.option(
            "--batch-size", type=click.IntRange(min=1), default=500, show_default=True, help="Images sampled at once."
        ),
        click.option(
            "--noise",
            type=click.Path(path_type=Path),
            help="Fixed starting noise (N, C, H, W), .pth or .npy.  [default: drawn from the seed]",
        ),
        click.option("--label", metavar="CLASS", help="For members that take labels: a class from 0, or 'random'."),
        click.option("--metric", type=click.Choice(["fid", "fd-digits"]), help="What images are scored with."),
        click.option(
            "--stats",
            metavar="PATH",
            help="Real images: pytorch-fid's .npz, or a folder.  [default for fd-digits: the digits]",
        ),
        _options.inception_weights,
        _options.device,
    ]
    for option in reversed(options):
        command = option(command)
    return command
