"""What jobs that sample share: how images are drawn, and what they are scored with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from omsdpm.devices import DEVICES
from omsdpm.errors import InputError
from omsdpm.plugins import Named, split_list
from omsdpm.zoo.files import read_latency_card
from studies.jobs.conditions import ConditionSettings
from studies.jobs.running import RunningSettings
from studies.jobs.settings import option

if TYPE_CHECKING:
    from omsdpm.scoring.metrics import OpenMetrics
    from omsdpm.scoring.sampler import Sampler
    from omsdpm.solvers import ScheduleSpace, SolverOptions
    from omsdpm.zoo import ModelZoo
    from studies.jobs.schedules import ScheduleSource
    from studies.records.progress import Reporter

SAMPLING, SCORE = "Sampling", "Score"
"""Topics of the options."""


Asked = TypeVar("Asked", bound="SamplingSettings")


class SamplingSettings(ConditionSettings, RunningSettings):
    """How images are drawn, and what they are scored with."""

    spacing: str | None = option(
        None, choices=lambda: ("logSNR", "time_uniform"), topic=SAMPLING, shown="the run's, or logSNR",
        help="Of the single-step DPM-Solvers.",
    )  # fmt: skip
    batch_size: int = option(500, ge=1, topic=SAMPLING, help="Images sampled at once.")
    noise: Path | None = option(
        None, topic=SAMPLING, shown="drawn from the seed", help="Fixed starting noise (N, C, H, W), .pth or .npy."
    )
    device: str = option(
        "auto", choices=lambda: DEVICES, topic=SAMPLING, help="Where networks run; auto takes CUDA if there is one."
    )
    metric: str | None = option(
        None,
        metavar="NAME,...",
        topic=SCORE,
        help="What images are scored with, as fd-digits or 'fid[weights=PATH],kid'; the first ranks; see list.",
    )
    stats: str | None = option(
        None, metavar="PATH", topic=SCORE, shown="for fd-digits the digits",
        help="Real images: a folder, which is resized to the zoo's images, .parquet or .npz; or statistics, "
        ".npz or .pth.",
    )  # fmt: skip

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that were named, the first of which ranks; none where nothing is said.

        Raises:
            InputError: an empty one, or brackets that do not close.
        """
        return () if self.metric is None else _split(self.metric)


def _split(metrics: str) -> tuple[str, ...]:
    try:
        return tuple(split_list(metrics))
    except InputError as error:
        raise InputError(f"--metric {error}") from error


def check_references(metrics: Sequence[str], stats: str | None) -> None:
    """Raises :class:`InputError` for a metric that there is not, or that has nothing to be compared with."""
    from omsdpm.scoring.metrics.opening import check_metric, takes_reference

    for metric in metrics:
        check_metric(metric)
    comparing = [metric for metric in metrics if takes_reference(metric)]
    if not comparing and metrics and stats is not None:
        name = Named.parse(metrics[0]).name
        raise InputError(f"--stats {stats}: metric {name!r} compares with no real images; leave --stats out")
    if comparing and real_images(metrics, stats) is None:
        raise InputError(
            f"metric {Named.parse(comparing[0]).name!r} needs real images to compare with: "
            "give --stats FILE.npz (pytorch-fid's, keys mu and sigma) or a folder"
        )


def real_images(metrics: Sequence[str], stats: str | None) -> str | None:
    """What images are compared with: what is given, or else the usual of the metrics; ``None`` for nothing."""
    from omsdpm.scoring.metrics.opening import usual_reference

    usual = (usual_reference(metric) for metric in metrics)
    return stats or next((reference for reference in usual if reference is not None), None)


def with_known_latency(zoo: ModelZoo, folder: Path, reporter: Reporter) -> ModelZoo:
    """The zoo with the latencies of its folder, for who samples without a need of them: a broken table is noted."""
    try:
        card = read_latency_card(folder, len(zoo.members))
    except InputError as error:
        reporter.note(f"latencies are left out: {error}")
        return zoo
    return zoo if card is None else replace(zoo, latency_card=card)


def as_found(settings: Asked, source: ScheduleSource, options: SolverOptions, reporter: Reporter) -> Asked:
    """The settings with the guidance that the schedules were searched with, where no other is given.

    Notes that, and options of the solver that are not the usual ones and were not given.
    """
    from omsdpm.solvers import USUAL

    said = {
        key: getattr(options, key)
        for key in ("spacing", "eta", "t_end")
        if getattr(options, key) != getattr(USUAL, key) and getattr(settings, key, None) is None
    }
    if settings.guidance is None and source.guidance is not None:
        said["guidance"] = source.guidance
        settings = settings.model_copy(update={"guidance": source.guidance})
    if said:
        reporter.note(f"as in {source.source}: {', '.join(f'{key} {value}' for key, value in said.items())}")
    return settings


def open_sampler(settings: SamplingSettings, zoo: ModelZoo, space: ScheduleSpace, options: SolverOptions) -> Sampler:
    """What draws the images.

    Raises:
        InputError: starting noise, labels, prompts or guidance that the zoo does not take.
    """
    from omsdpm.scoring.sampler import Sampler, read_noise

    start = None if settings.noise is None else read_noise(settings.noise)
    guided, conditions = settings.for_sampler(zoo)
    return Sampler(guided, space, options, settings.batch_size, start, **conditions)


def open_metrics(
    metrics: Sequence[str], stats: str | None, sampler: Sampler, images: int, reporter: Reporter
) -> OpenMetrics:
    """What scores the images, with its networks and its real images loaded.

    Args:
        metrics: ``name[param=value,...]`` each.
        stats: the real images; ``None`` for the usual ones.
        sampler: draws the images.
        images: of each schedule.
        reporter: told what is opened.

    Raises:
        InputError: an unknown metric or parameter, or a reference that cannot be used.
    """
    from omsdpm.scoring.metrics import Context, OpenMetrics

    zoo = sampler.zoo
    with reporter.part(f"Opening {', '.join(Named.parse(metric).name for metric in metrics)}") as step:
        context = Context(zoo.image_shape, zoo.device, real_images(metrics, stats), sampler.space, step)
        return OpenMetrics(metrics, context, images)
