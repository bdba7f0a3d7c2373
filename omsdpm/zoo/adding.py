"""Adding a diffusers model that one has to a zoo: a pipeline's folder, or the model's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omsdpm.errors import InputError
from omsdpm.files import writable_folder
from omsdpm.networks.base import NETWORKS, MemberTable
from omsdpm.noise import Noise, make_noise
from omsdpm.noise.scheduler_config import noise_from_scheduler_config
from omsdpm.tables import read_json
from omsdpm.zoo.files import ZOO_FILE, ImagesTable, ZooFile

INDEX = "model_index.json"
CONFIG = "config.json"
DENOISERS = ("unet", "transformer")
"""Folders of a pipeline that hold the network that is sampled with."""

CLIPPING = ("DDIMScheduler", "DDPMScheduler")
"""Schedulers of diffusers that clip predicted images to [-1, 1] by default."""

SCHEDULER = Path("scheduler") / "scheduler_config.json"
EXPECTED = f"expected the folder of a diffusers pipeline, with {INDEX}, or of a model, with {CONFIG}"


@dataclass(frozen=True)
class Added:
    """What became of a model.

    Attributes:
        number: of the member, from 1.
        member: its ``[[member]]``.
        zoo: the file as it is now.
        created: whether the zoo was made for it.
        noise_known: whether a scheduler says the noise schedule, and not the usual linear betas.
    """

    number: int
    member: MemberTable
    zoo: ZooFile
    created: bool
    noise_known: bool


def add_member(source: str | Path, zoo: str | Path, *, variant: str | None = None) -> Added:
    """Makes a model a member of a zoo, which is made if there is none; the model stays where it is.

    Noise schedule and what the network predicts are read from the pipeline's scheduler. A model without one
    takes those of the zoo, or the usual linear betas of a new one.

    Args:
        source: the folder of a diffusers pipeline or model.
        zoo: the zoo's folder.
        variant: of the weights' files, such as ``"fp16"``.

    Raises:
        InputError: a folder that is no model, a class that no kind of network takes, a model that cannot be
            loaded, is a member already, or is not of one kind with the others: which, and why.

    Example:
        >>> add_member("ddpm-cifar10-32", "my-zoo").number
        1
    """
    folder, scheduler = _model(Path(source))
    config = _object(folder / CONFIG)
    kind = _kind_of(config, folder)
    said = {
        "kind": kind,
        "folder": _from(Path(zoo), folder),
        "variant": variant,
        **_prediction(scheduler),
        **_clip(scheduler),
    }
    noise = None if scheduler is None else _noise(scheduler, Path(source))
    path = Path(zoo) / ZOO_FILE
    created = not path.exists()
    if created:
        member = _member(said)
        images = ImagesTable(
            name=Path(zoo).resolve().name, image_size=_size(config, folder), channels=_channels(config)
        )
        file = ZooFile(zoo=images, noise=noise or make_noise({"kind": "linear"}), member=(member,))
    else:
        before = ZooFile.read(zoo)
        if scheduler is None:
            said["prediction_type"] = before.members[0].prediction_type
        member = _member(said)
        _check_alike(before, config, noise, folder)
        if any(one.table() == member.table() for one in before.members):
            raise InputError(f"{folder} is a member of {path} already")
        file = ZooFile(zoo=before.zoo, noise=before.noise, member=(*before.members, member))
    member.load(Path(zoo), file.shape, "cpu")  # proves that it can be, before anything is written
    writable_folder(Path(zoo))
    file.write(zoo)
    return Added(len(file.members), member, file, created, scheduler is not None)


def _model(source: Path) -> tuple[Path, dict[str, Any] | None]:
    """The denoiser's folder, and what the pipeline's scheduler says; ``None`` of a model alone."""
    if not source.is_dir():
        raise InputError(
            f"{source} is no folder: {EXPECTED}; a model of a hub is downloaded first, "
            f"`hf download {source} --local-dir FOLDER`"
        )
    if (source / INDEX).is_file():
        for name in DENOISERS:
            if (source / name / CONFIG).is_file():
                scheduler = source / SCHEDULER
                return source / name, _object(scheduler) if scheduler.is_file() else None
        raise InputError(f"pipeline {source} has neither of the folders {' and '.join(DENOISERS)}")
    if not (source / CONFIG).is_file():
        raise InputError(f"{source} is no model: {EXPECTED}")
    return source, None


def _object(path: Path) -> dict[str, Any]:
    content = read_json(path, "copy the model again", infinite=True)  # DPM-Solver's lambda_min_clipped
    if not isinstance(content, dict):
        raise InputError(f"{path} is no JSON object; copy the model again")
    return content


def _kind_of(config: Mapping[str, Any], folder: Path) -> str:
    """The kind of network that takes a model of this class."""
    name = config.get("_class_name")
    takes = {kind: tuple(getattr(NETWORKS.load(kind), "model_classes", ())) for kind in NETWORKS.names()}
    for kind, classes in takes.items():
        if name in classes:
            return kind
    known = ", ".join(f"{kind} ({', '.join(classes)})" for kind, classes in takes.items() if classes)
    raise InputError(
        f"{folder} is a `{str(name)[:80]}`, which no kind of network takes; those that take a model's folder: {known}"
    )


def _member(said: Mapping[str, Any]) -> MemberTable:
    given = {key: value for key, value in said.items() if value is not None}
    member: MemberTable = NETWORKS.load(str(said["kind"])).model_validate(given)
    return member


def _prediction(scheduler: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the network predicts, in the words of its scheduler; a flow's schedulers predict its velocity."""
    if scheduler is None:
        return {}
    flow = "FlowMatch" in str(scheduler.get("_class_name")) or bool(scheduler.get("use_flow_sigmas"))
    return {"prediction_type": "flow_prediction" if flow else scheduler.get("prediction_type", "epsilon")}


def _clip(scheduler: Mapping[str, Any] | None) -> dict[str, Any]:
    """Where predicted images are clipped; DDPM's and DDIM's schedulers do so unless they say otherwise."""
    if scheduler is None or not scheduler.get("clip_sample", scheduler.get("_class_name") in CLIPPING):
        return {}
    return {"clip": scheduler.get("clip_sample_range", 1.0)}


def _noise(scheduler: Mapping[str, Any], source: Path) -> Noise:
    try:
        return noise_from_scheduler_config(scheduler)
    except InputError as error:
        raise InputError(f"{source / SCHEDULER.parent}: {error}") from error


def _channels(config: Mapping[str, Any]) -> int:
    channels = config.get("in_channels", 3)
    return channels if isinstance(channels, int) else 0


def _size(config: Mapping[str, Any], folder: Path) -> int:
    size = config.get("sample_size")
    side = size[0] if isinstance(size, list) and len(set(size)) == 1 else size
    if not isinstance(side, int):
        raise InputError(
            f"{folder} says sample_size = {size}: a new zoo is made for square images of a size that its first member "
            f"says; write {ZOO_FILE} yourself (`omsdpm-bench init zoo`), and add the model then"
        )
    return side


def _check_alike(zoo: ZooFile, config: Mapping[str, Any], noise: Noise | None, folder: Path) -> None:
    """Raises :class:`InputError` for a model that cannot share a trajectory with the zoo's members."""
    first = f"member 1 ({zoo.members[0].name})"
    if _channels(config) != zoo.shape[0]:
        raise InputError(
            f"{folder} takes {_channels(config)} channels, {first} takes {zoo.shape[0]}: members of a zoo share images"
        )
    if noise is not None and noise.table() != zoo.noise.table():
        raise InputError(
            f"{folder} was trained on the noise {noise.table()}, {first} on {zoo.noise.table()}: "
            "members of a zoo share it"
        )


def _from(zoo: Path, folder: Path) -> str:
    """The model's folder as ``zoo.toml`` says it: relative where the model lies in the zoo, absolute elsewhere."""
    inside, model = zoo.resolve(), folder.resolve()
    return os.path.relpath(model, inside) if model.is_relative_to(inside) else str(model)
