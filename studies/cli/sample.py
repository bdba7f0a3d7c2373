"""``omsdpm-bench sample``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from omsdpm.errors import InputError
from studies.cli import _options
from studies.cli._sampling import Sampling, sampling_options

if TYPE_CHECKING:
    from omsdpm.scoring.sampler import Sampler
    from omsdpm.solvers import Schedules


@click.command()
@click.option("--zoo", type=click.Path(path_type=Path), required=True, help="Folder of a zoo, ours or released.")
@click.option("--schedule", type=click.Path(path_type=Path), required=True, help="The release's .pth, searched or not.")
@click.option("--row", type=click.IntRange(min=0), help="Which schedule of a FILE with several, from 0.")
@_options.solver("What steps from one time to the next.  [default: told by the schedule's slots]")
@click.option(
    "-n", "--num-images", type=click.IntRange(min=1), default=50_000, show_default=True, help="Images to sample."
)
@click.option("--fid", is_flag=True, help="Score the images; short for --metric fid.")
@click.option("--images", "folder", type=click.Path(path_type=Path), help="Folder for the images as PNG.")
@click.option(
    "--eta", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="DDIM: 0 deterministic, 1 ancestral."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all noise that is drawn.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="JSON file for the score.")
@sampling_options
def sample(
    zoo: Path,
    schedule: Path,
    row: int | None,
    solver: str | None,
    num_images: int,
    fid: bool,
    folder: Path | None,
    eta: float,
    seed: int,
    output: Path | None,
    **given: Any,
) -> None:
    """Sample images with one schedule, and score them.

    Features are taken from each batch of images as it is sampled; images are written
    only where --images says so.
    """
    import json

    from omsdpm.devices import resolve_device
    from omsdpm.files import replacing, writable_folder
    from omsdpm.released import infer_solver
    from omsdpm.solvers import make_space
    from omsdpm.zoo.opening import open_zoo
    from studies.cli._console import Reporter
    from studies.records.environment import environment

    how = Sampling.take(given)
    metric = _metric(fid, how)
    if metric is None and folder is None:
        raise InputError("nothing to do with the images: give --fid or --metric to score them, --images to write them")
    if output is not None and metric is None:
        raise InputError(f"--output {output} is for the score: give --fid or --metric too")
    x = _one(schedule, row)
    device = resolve_device(how.device)
    reporter = Reporter()
    if solver is None:
        solver = infer_solver(x[None])
        reporter.note(f"solver: {solver}, by the schedule's slots; --solver says otherwise")
    members = open_zoo(zoo, device)
    space = make_space(solver, len(members.members), len(x))
    try:
        space.check(x)
    except InputError as error:
        raise InputError(f"{schedule}: {error}") from error
    sampler = how.sampler(members, space, eta)
    sampler.check(x[None], num_images)
    if folder is not None:
        writable_folder(folder)
    network, reference = (None, None) if metric is None else how.scorer(metric, members)
    nfe = int(space.nfe(x)[0])
    score: float | None = None
    with reporter.part(f"Sampling {num_images} images of {nfe} evaluations") as step:
        if network is not None and reference is not None:
            (score,) = sampler.score(
                x[None], num_images, seed=seed, network=network, reference=reference, progress=step,
                keep=None if folder is None else lambda _, first, x_0: _write(folder, first, x_0),
            ).tolist()  # fmt: skip
        elif folder is not None:
            _sample_only(sampler, x, num_images, seed, folder, step)
    if folder is not None:
        reporter.note(f"images: {folder}")
    if score is None:
        return
    reporter.note(f"{metric}: {score:.6g} ({num_images} images, {nfe} evaluations)")
    if output is not None:
        result = {
            "metric": metric,
            "score": score,
            "images": num_images,
            "schedule": x.tolist(),
            "nfe": nfe,
            "solver": solver,
            "spacing": how.spacing,
            "eta": eta,
            "seed": seed,
            "noise": None if how.noise is None else str(how.noise),
            "label": how.label,
            "zoo": str(zoo),
            "stats": how.stats,
            "latency_ms": None if members.latency_card is None else float(space.latency(x, members.latency)[0]),
            "environment": environment(device),
        }
        with replacing(output) as temporary:
            temporary.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        reporter.note(f"score: {output}")


def _metric(fid: bool, how: Sampling) -> str | None:
    """The metric that the options ask for; ``None`` for no score."""
    if fid and how.metric not in (None, "fid"):
        raise InputError(f"--fid and --metric {how.metric}: give one of them")
    metric = "fid" if fid else how.metric
    if metric is None and how.stats is not None:
        raise InputError("--stats without a score: give --fid or --metric too")
    how.check(metric)
    return metric


def _one(path: Path, row: int | None) -> Schedules:
    """The schedule ``(L,)`` to sample."""
    from omsdpm.released import read_schedules

    X = read_schedules(path)
    if row is None and len(X) > 1:
        raise InputError(
            f"{path} holds {len(X)} schedules: choose one with --row, or compare them with `omsdpm-bench validate`"
        )
    if row is not None and row >= len(X):
        raise InputError(f"--row {row}: {path} holds {len(X)} schedules, numbered from 0")
    return X[row or 0]


def _sample_only(sampler: Sampler, x: Schedules, images: int, seed: int, folder: Path, step: Any) -> None:
    done = 0
    for _, first, x_0 in sampler.batches(x[None], images, seed):
        _write(folder, first, x_0)
        done += len(x_0)
        step(done, images)


def _write(folder: Path, first: int, x_0: Any) -> None:
    """Writes ``x_0 (b, C, H, W)`` as ``000000.png``, numbered from ``first``."""
    from PIL import Image

    from omsdpm.images import to_uint8

    for number, pixels in enumerate(to_uint8(x_0.float().cpu().numpy()), start=first):
        Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(folder / f"{number:06d}.png")
