"""Sampling one schedule: images to PNG files, to a score, or both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omsdpm.devices import resolve_device
from omsdpm.errors import InputError
from omsdpm.files import check_writable, writable_folder, write_json
from omsdpm.images import SUFFIXES, to_uint8
from omsdpm.released import infer_solver
from omsdpm.solvers import Schedules, space_on
from omsdpm.zoo.opening import open_zoo
from studies.jobs.sample.result import SampleResult
from studies.jobs.sample.settings import SampleSettings
from studies.jobs.sampling import as_found, open_metrics, open_sampler, with_known_latency
from studies.jobs.schedules import read_source
from studies.records.environment import environment
from studies.records.progress import SILENT, Reporter, Step
from studies.records.scores import MetricScore, with_error

if TYPE_CHECKING:
    from omsdpm.scoring.sampler import Sampler


MARKER = ".omsdpm-sample.json"
"""In a folder of images: the settings that they are of, so that the command can be given again."""


def sample(settings: SampleSettings, reporter: Reporter = SILENT) -> SampleResult:
    """Samples images with one schedule; scores them and writes them as the settings say.

    Raises:
        InputError: something in ``settings`` cannot be used; told before anything is sampled.
    """
    if settings.output is not None:
        check_writable(settings.output)
    source = read_source(settings.schedule).one(settings.budget, settings.row)
    device = resolve_device(settings.device)
    solver = settings.solver or source.solver
    if solver is None:
        solver = infer_solver(source.X)
        reporter.note(f"solver: {solver}, by the schedule's slots; --solver says otherwise")
    zoo = open_zoo(settings.zoo, device, running=settings.running, profiled=False, lazy=True)
    zoo = with_known_latency(zoo, settings.zoo, reporter)
    (x,) = source.renumbered(len(zoo.members))
    timesteps = settings.timesteps or (source.timesteps if solver == source.solver else None)
    space = space_on(zoo.noise, solver, len(zoo.members), len(x), timesteps)
    try:
        space.check(x)
    except InputError as error:
        raise InputError(f"{settings.schedule}: {error}") from error
    options = source.options(solver, settings.spacing, settings.eta)
    sampler = open_sampler(as_found(settings, source, options, reporter), zoo, space, options)
    sampler.check(x[None], settings.num_images)
    folder, asked = settings.images, settings.scored_with
    metrics = open_metrics(asked, settings.stats, sampler, settings.num_images, reporter) if asked else None
    if folder is not None:
        _claim(folder, settings)
    nfe = int(space.nfe(x)[0])
    scores: list[MetricScore] = []
    with reporter.part(f"Sampling {settings.num_images} images of {nfe} evaluations") as step:
        if metrics is not None:
            ((_, taken),) = sampler.taken(
                x[None], settings.num_images, seed=settings.seed, metric=metrics, progress=step,
                keep=None if folder is None else lambda _, first, x_0: write_images(folder, first, x_0),
            )  # fmt: skip
            scores = [MetricScore.of(score) for score in metrics.score(taken)]
        elif folder is not None:
            _write_all(sampler, x, settings.num_images, settings.seed, folder, step)
    result = SampleResult(
        settings=settings,
        metric=scores[0].metric if scores else None,
        score=scores[0].score if scores else None,
        error=scores[0].error if scores else None,
        further=tuple(scores[1:]),
        images=settings.num_images,
        schedule=tuple(x.tolist()),
        solver=solver,
        nfe=nfe,
        latency_ms=None if zoo.latency_card is None else float(space.latency(x, zoo.latency)[0]),
        environment=environment(device),
    )
    if settings.output is not None:
        try:
            result.write(settings.output)
        except InputError:
            for score in scores:  # they took hours, and are not lost
                reporter.note(f"{score.metric}: {with_error(score.score, score.error)}, {settings.num_images} images")
            raise
    return result


def _claim(folder: Path, settings: SampleSettings) -> None:
    """Makes a folder for images, or finds that of the same command, whose images are then made again.

    Raises:
        InputError: it holds images of something else, or cannot be written.
    """
    writable_folder(folder)
    asked = {key: value for key, value in settings.as_dict().items() if key not in ("images", "output")}
    try:
        begun = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        begun = None
    ours = {_name(number) for number in range(settings.num_images)} if begun == asked else set()
    older = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name not in ours]
    if older:
        raise InputError(f"--images {folder} holds {len(older)} images already: name a folder without any")
    write_json(folder / MARKER, asked)


def _name(number: int) -> str:
    return f"{number:06d}.png"


def write_images(folder: Path, first: int, x_0: Any) -> None:
    """Writes ``x_0 (b, C, H, W)`` as ``000000.png``, numbered from ``first``."""
    from PIL import Image

    for number, pixels in enumerate(to_uint8(x_0.float().cpu().numpy()), start=first):
        Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(folder / _name(number))


def _write_all(sampler: Sampler, x: Schedules, images: int, seed: int, folder: Path, step: Step) -> None:
    done = 0
    for _, first, x_0 in sampler.batches(x[None], images, seed):
        write_images(folder, first, x_0)
        done += len(x_0)
        step(done, images)
