"""What jobs that sample share: how images are drawn, and what they are scored with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omsdpm.devices import DEVICES
from omsdpm.errors import InputError
from omsdpm.plugins import Named
from studies.jobs.settings import Settings, option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from omsdpm.sampling import Count
    from omsdpm.scoring.measurement import Measurement
    from omsdpm.scoring.sampler import Sampler
    from omsdpm.solvers import ScheduleSpace
    from omsdpm.zoo import ModelZoo
    from studies.records.progress import Step

SAMPLING, SCORE = "Sampling", "Score"
"""Topics of the options."""


class SamplingSettings(Settings):
    """How images are drawn, and what they are scored with."""

    spacing: str = option(
        "logSNR", choices=lambda: ("logSNR", "time_uniform"), topic=SAMPLING, help="Of the single-step DPM-Solvers."
    )
    batch_size: int = option(500, ge=1, topic=SAMPLING, help="Images sampled at once.")
    noise: Path | None = option(
        None, topic=SAMPLING, shown="drawn from the seed", help="Fixed starting noise (N, C, H, W), .pth or .npy."
    )
    label: str | None = option(
        None, metavar="CLASS", topic=SAMPLING, help="For members that take labels: a class from 0, or 'random'."
    )
    device: str = option(
        "auto", choices=lambda: DEVICES, topic=SAMPLING, help="Where networks run; auto takes CUDA if there is one."
    )
    metric: str | None = option(
        None, metavar="NAME", topic=SCORE, help="What images are scored with: fd-digits, fid, or 'fid[weights=PATH]'."
    )
    stats: str | None = option(
        None, metavar="PATH", topic=SCORE, shown="for fd-digits the digits",
        help="Real images: pytorch-fid's .npz, the release's .pth, or a folder, which is resized to the zoo's images.",
    )  # fmt: skip


def check_reference(metric: str | None, stats: str | None) -> None:
    """Raises :class:`InputError` where a score by ``metric`` has nothing to be compared with."""
    if metric is not None and Named.parse(metric).name == "fid" and stats is None:
        raise InputError(
            "FID needs the statistics of the real images: give --stats FILE.npz (keys mu and sigma) or a folder"
        )


def metric_of(measurement: Measurement) -> str:
    """A measurement's metric with its parameters, as :class:`Scorer` takes it."""
    weights = measurement.inception_weights
    return str(Named(measurement.metric, {} if weights is None else {"weights": weights}))


def open_sampler(settings: SamplingSettings, zoo: ModelZoo, space: ScheduleSpace, eta: float = 0.0) -> Sampler:
    """What draws the images.

    Raises:
        InputError: starting noise or a label that the zoo does not take.
    """
    from omsdpm.scoring.sampler import Sampler, read_noise

    start = None if settings.noise is None else read_noise(settings.noise)
    spacing: Any = settings.spacing
    return Sampler(zoo, space, spacing, eta, settings.batch_size, start, settings.label)


class Scorer:
    """A metric with its network and its reference opened: the one place where jobs open one.

    Args:
        metric: ``name[param=value,...]``.
        stats: the real images; ``None`` for the digits.
        zoo: whose images are scored.

    Raises:
        InputError: an unknown metric or parameter, or a reference that cannot be used.
    """

    def __init__(self, metric: str, stats: str | None, zoo: ModelZoo) -> None:
        from omsdpm.scoring.features import make_feature_network
        from omsdpm.scoring.measurement import DIGITS, load_reference, parse_metric

        self.name, weights = parse_metric(metric)
        self._network = make_feature_network(self.name, device=zoo.device, inception_weights=weights)
        self._reference = load_reference(stats or DIGITS, self._network, zoo.shape)

    def score(
        self,
        sampler: Sampler,
        X: ArrayLike,
        images: int,
        *,
        seed: int,
        progress: Step | None = None,
        count: Count | None = None,
        keep: Callable[[int, int, Any], object] | None = None,
    ) -> NDArray[np.float64]:
        """Scores of ``(n, L)`` schedules, ``(n,)``; see :meth:`omsdpm.scoring.sampler.Sampler.score`."""
        return sampler.score(
            X, images, seed=seed, network=self._network, reference=self._reference,
            progress=progress, count=count, keep=keep,
        )  # fmt: skip
