"""What jobs that sample share: how images are drawn, and what they are scored with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omsdpm.devices import DEVICES
from omsdpm.errors import InputError
from omsdpm.plugins import Named
from studies.jobs.conditions import ConditionSettings
from studies.jobs.settings import option

if TYPE_CHECKING:
    from omsdpm.scoring.metrics import OpenMetric
    from omsdpm.scoring.sampler import Sampler
    from omsdpm.solvers import ScheduleSpace, SolverOptions
    from omsdpm.zoo import ModelZoo
    from studies.records.progress import Reporter

SAMPLING, SCORE = "Sampling", "Score"
"""Topics of the options."""


class SamplingSettings(ConditionSettings):
    """How images are drawn, and what they are scored with."""

    spacing: str = option(
        "logSNR", choices=lambda: ("logSNR", "time_uniform"), topic=SAMPLING, help="Of the single-step DPM-Solvers."
    )
    batch_size: int = option(500, ge=1, topic=SAMPLING, help="Images sampled at once.")
    noise: Path | None = option(
        None, topic=SAMPLING, shown="drawn from the seed", help="Fixed starting noise (N, C, H, W), .pth or .npy."
    )
    device: str = option(
        "auto", choices=lambda: DEVICES, topic=SAMPLING, help="Where networks run; auto takes CUDA if there is one."
    )
    metric: str | None = option(
        None,
        metavar="NAME",
        topic=SCORE,
        help="What images are scored with, as fd-digits or 'fid[weights=PATH]'; see list.",
    )
    stats: str | None = option(
        None, metavar="PATH", topic=SCORE, shown="for fd-digits the digits",
        help="Real images: pytorch-fid's .npz, the release's .pth, or a folder, which is resized to the zoo's images.",
    )  # fmt: skip


def check_reference(metric: str | None, stats: str | None) -> None:
    """Raises :class:`InputError` for a metric that there is not, or that has nothing to be compared with."""
    from omsdpm.scoring.metrics.opening import check_metric, takes_reference, usual_reference

    if metric is None:
        return
    check_metric(metric)
    name = Named.parse(metric).name
    if not takes_reference(metric):
        if stats is not None:
            raise InputError(f"--stats {stats}: metric {name!r} compares with no real images; leave --stats out")
    elif stats is None and usual_reference(metric) is None:
        raise InputError(
            f"metric {name!r} needs real images to compare with: "
            "give --stats FILE.npz (pytorch-fid's, keys mu and sigma) or a folder"
        )


def open_sampler(settings: SamplingSettings, zoo: ModelZoo, space: ScheduleSpace, options: SolverOptions) -> Sampler:
    """What draws the images.

    Raises:
        InputError: starting noise, labels, prompts or guidance that the zoo does not take.
    """
    from omsdpm.scoring.sampler import Sampler, read_noise

    start = None if settings.noise is None else read_noise(settings.noise)
    guided, conditions = settings.for_sampler(zoo)
    return Sampler(guided, space, options, settings.batch_size, start, **conditions)


def open_metric(metric: str, stats: str | None, sampler: Sampler, reporter: Reporter) -> OpenMetric:
    """What scores the images, with its network and its real images loaded.

    Raises:
        InputError: an unknown metric or parameter, or a reference that cannot be used.
    """
    from omsdpm.scoring.metrics import Context, OpenMetric
    from omsdpm.scoring.metrics.opening import usual_reference

    zoo = sampler.zoo
    with reporter.part(f"Opening {Named.parse(metric).name}") as step:
        context = Context(zoo.image_shape, zoo.device, stats or usual_reference(metric), sampler.space, step)
        return OpenMetric(metric, context)
