"""Adding a diffusers model that one has to a zoo: a pipeline's denoisers, or a model alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omsdpm.errors import InputError
from omsdpm.files import writable_folder
from omsdpm.networks.base import NETWORKS, MemberTable
from omsdpm.noise import Noise, make_noise
from omsdpm.noise.scheduler_config import noise_from_scheduler_config
from omsdpm.variants import VARIANTS
from omsdpm.variants.base import split_keys
from omsdpm.zoo.files import ZOO_FILE, ImagesTable, Shape, ZooFile
from omsdpm.zoo.pipeline import ENCODERS, VAE, PipelineParts
from omsdpm.zoo.source import CONFIG, SCHEDULER, Source, full_config, kind_of, read_object

CONDITIONED = (
    "cross_attention_dim",
    "addition_embed_type",
    "joint_attention_dim",
    "pooled_projection_dim",
    "caption_channels",
    "text_dim",
    "projection_class_embeddings_input_dim",
)
"""Keys of a model's configuration that say what its text encoders give."""

CLASSES = "num_embeds_ada_norm"
PROMPTED = ("unet2d-condition", "transformer")
"""Kinds that take prompts."""


@dataclass(frozen=True)
class Added:
    """What became of a model.

    Attributes:
        numbers: of the members, from 1.
        members: their ``[[member]]`` tables: one, or the two experts of a pipeline that has two.
        zoo: the file as it is now.
        known: members that there were before; those of them that are asked for again stay as they are.
        created: whether the zoo was made for it.
        noise_known: whether a scheduler says the noise schedule, and not the usual linear betas.
    """

    numbers: tuple[int, ...]
    members: tuple[MemberTable, ...]
    zoo: ZooFile
    known: int
    created: bool
    noise_known: bool


def add_member(
    source: str | Path,
    zoo: str | Path,
    *,
    variant: str | None = None,
    guidance: float | None = None,
    size: Sequence[int] | None = None,
    frames: int | None = None,
    variants: Sequence[str] = (),
) -> Added:
    """Makes a model a member of a zoo, which is made if there is none; the model stays where it is.

    One that is a member already stays what it is, so that a command that was stopped can be given again.

    Noise schedule and what the network predicts are read from the pipeline's scheduler. A model without one
    takes those of the zoo, or the usual linear betas of a new one. The pipeline's VAE and text encoders become the
    whole zoo's.

    Args:
        source: the folder of a diffusers pipeline or model, or its name on a hub.
        zoo: the zoo's folder.
        variant: of the weights' files, such as ``"fp16"``.
        guidance: scale of the member's guidance; ``None`` leaves it to the measurement.
        size: ``(height, width)`` of what a new zoo denoises, latents where there is a VAE; ``None`` is the model's own.
        frames: of videos, in latents.
        variants: what makes another member of it, as ``["guidance[scale=1]", "dtype[to=bfloat16]"]``.

    Raises:
        InputError: a folder that is no model, a class that no kind of network takes, a model that cannot be
            loaded, or is not of one kind with the others: which, and why.

    Example:
        >>> add_member("ddpm-cifar10-32", "my-zoo").numbers
        (1,)
    """
    path = Path(zoo) / ZOO_FILE
    before = ZooFile.read(zoo) if path.exists() else None
    given = _Given(variant, guidance, size, frames)
    added = _added(Source.open(source), Path(zoo), before, given, [list(variants)])
    added.zoo.image_shape(zoo)
    writable_folder(Path(zoo))
    added.zoo.write(zoo)
    return added


def derive_members(
    source: str | Path,
    zoo: str | Path,
    variants: Sequence[str],
    *,
    variant: str | None = None,
    size: Sequence[int] | None = None,
    frames: int | None = None,
) -> Added:
    """Makes members of one model that need no training, each by some variants, in their order.

    Args:
        source, zoo, variant, size, frames: see :func:`add_member`.
        variants: a member each; several joined by ``+`` are one member, and ``"as-is"`` is the model itself.

    Raises:
        InputError: as :func:`add_member`; no variants; nothing is written then.

    Example:
        >>> derive_members("sd15", "zoo", ["guidance[scale=7.5]", "guidance[scale=1]+tokens[merge=0.5]"])
    """
    if not variants:
        raise InputError(f"no variant: a member is made by each; choose of {', '.join(VARIANTS.names())}")
    path = Path(zoo) / ZOO_FILE
    before = ZooFile.read(zoo) if path.exists() else None
    each = [[] if text == AS_IS else split_plus(text) for text in variants]
    added = _added(Source.open(source), Path(zoo), before, _Given(variant, None, size, frames), each)
    added.zoo.image_shape(zoo)
    writable_folder(Path(zoo))
    added.zoo.write(zoo)
    return added


AS_IS = "as-is"
"""In place of variants: the model itself."""


def split_plus(text: str) -> list[str]:
    """The parts of ``"a[x=1]+b"`` between signs that stand in no brackets.

    Raises:
        InputError: an empty part, or brackets that do not close.
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == "+" and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    if depth or not all(part.strip() for part in parts):
        raise InputError(f"variant {text!r}: expected names with + between two, and brackets that close")
    return [part.strip() for part in parts]


@dataclass(frozen=True)
class _Given:
    """What was said of all members that are added."""

    variant: str | None
    guidance: float | None
    size: Sequence[int] | None
    frames: int | None


def _added(
    origin: Source, zoo: Path, before: ZooFile | None, given: _Given, variants: Sequence[Sequence[str]]
) -> Added:
    """The zoo's file with a member for each denoiser and each of some lists of variants; all can be loaded."""
    path = zoo / ZOO_FILE
    configs = [read_object(folder / CONFIG) for folder in origin.denoisers]
    kinds = [kind_of(config, folder) for config, folder in zip(configs, origin.denoisers, strict=True)]
    configs = [full_config(config) for config in configs]
    if before is not None and (given.size is not None or given.frames is not None):
        raise InputError(f"{path} says the size of what its members denoise: leave out size and frames")
    images = _images(origin, configs[0], kinds[0], zoo, given) if before is None else before.zoo
    noise = None if origin.scheduler is None else _noise(origin, configs[0], images.shape)
    members = [] if before is None else list(before.members)
    usual = members[0].prediction_type if members else "epsilon"
    known = len(members)
    numbers: list[int] = []
    for changes in variants:
        keys, changing = split_keys(changes)
        if given.guidance is not None and "guidance" in keys:
            raise InputError(f"guidance {given.guidance:g} and a variant of guidance: give one of them")
        for folder, config, kind in zip(origin.denoisers, configs, kinds, strict=True):
            if before is not None:
                _check_alike(before, zoo, config, kind, noise, folder)
            said = {
                "kind": kind,
                "folder": _from(zoo, folder),
                "variant": given.variant,
                "guidance": given.guidance,
                "prediction_type": origin.prediction_type or usual,
                "clip": origin.clip,
                "use_clipped_model_output": origin.use_clipped_model_output,
                "variants": changing or None,
                "pipeline": _encoders(before, zoo, origin, config, folder) if kind in PROMPTED else None,
                **keys,
            }
            member = _member(said, kind, folder)
            there = [number for number, one in enumerate(members, start=1) if one.table() == member.table()]
            if not there:  # else the same was asked for before, perhaps by a command that was stopped
                members.append(member)
            numbers.append(there[0] if there else len(members))
    if before is not None:
        _check_pipeline(before, zoo, origin)
        noise = before.noise
    file = ZooFile(zoo=images, noise=noise or make_noise({"kind": "linear"}), member=tuple(members))
    for member in members[known:]:
        member.load(zoo, file.shape, "cpu")  # proves that it can be, before anything is written
    asked = tuple(members[number - 1] for number in numbers)
    return Added(tuple(numbers), asked, file, known, before is None, origin.scheduler is not None)


def _member(said: Mapping[str, Any], kind: str, folder: Path) -> MemberTable:
    given = {key: value for key, value in said.items() if value is not None}
    for key in ("variant", "variants"):
        if key in given and key not in NETWORKS.load(kind).model_fields:
            raise InputError(f"{key} {given[key]!r} for {folder}: a member of kind {kind} takes none")
    if "guidance" in given and "guidance" not in NETWORKS.load(kind).model_fields:
        raise InputError(f"guidance {given['guidance']:g} for {folder}: a member of kind {kind} takes no guidance")
    member: MemberTable = NETWORKS.load(kind).model_validate(given)
    return member


def _noise(origin: Source, config: Mapping[str, Any], shape: Shape) -> Noise:
    patch = config.get("patch_size", 1)
    side = 2 if config.get("_class_name") == "FluxTransformer2DModel" else patch if isinstance(patch, int) else 1
    tokens = (shape[-2] // side) * (shape[-1] // side)
    try:
        return noise_from_scheduler_config(origin.scheduler or {}, tokens=tokens)
    except InputError as error:
        raise InputError(f"{origin.folder / SCHEDULER.parent}: {error}") from error


def _images(
    origin: Source,
    config: Mapping[str, Any],
    kind: str,
    zoo: Path,
    given: _Given,
) -> ImagesTable:
    """What a new zoo denoises."""
    size, frames = given.size, given.frames
    pipeline = None
    if origin.pipeline:
        parts = PipelineParts(origin.folder)
        pipeline = _from(zoo, origin.folder) if parts.has_vae or parts.has_encoders else None
    height, width = _size(config, origin.denoisers[0]) if size is None else (int(side) for side in size)
    channels: int = NETWORKS.load(kind).channels(config)
    patch = config.get("patch_size")
    video = isinstance(patch, (list, tuple)) and len(patch) == 3
    if video != (frames is not None):
        what = "give the frames of its videos, in latents" if video else "it makes images, so leave out the frames"
        raise InputError(f"{origin.denoisers[0]} is a `{config.get('_class_name')}`: {what}")
    return ImagesTable(
        name=zoo.resolve().name,
        image_size=height if height == width else (height, width),
        channels=channels,
        frames=frames,
        pipeline=pipeline,
    )


def _size(config: Mapping[str, Any], folder: Path) -> tuple[int, int]:
    size = config.get("sample_size")
    sides = tuple(size) if isinstance(size, list) else (size, size)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise InputError(
            f"{folder} says sample_size = {size}: give the size of what a new zoo denoises, height and width, in "
            "latents where there is a VAE"
        )
    return int(sides[0]), int(sides[1])


def _check_alike(
    zoo: ZooFile, base: Path, config: Mapping[str, Any], kind: str, noise: Noise | None, folder: Path
) -> None:
    """Raises :class:`InputError` for a model that cannot share a trajectory with the zoo's members."""
    first = f"member 1 ({zoo.members[0].name})"
    channels = NETWORKS.load(kind).channels(config)
    if channels != zoo.shape[0]:
        raise InputError(
            f"{folder} takes {channels} channels, {first} takes {zoo.shape[0]}: members of a zoo share images"
        )
    if noise is not None and noise.table() != zoo.noise.table():
        raise InputError(
            f"{folder} was trained on the noise {noise.table()}, {first} on {zoo.noise.table()}: "
            "members of a zoo share it"
        )
    if zoo.members[0].kind != kind and {zoo.members[0].kind, kind} & set(PROMPTED):
        raise InputError(
            f"{folder} is of kind {kind}, {first} of kind {zoo.members[0].kind}: members of a zoo take the same "
            "conditions"
        )
    there = getattr(zoo.members[0], "folder", None)
    other = {} if there is None else full_config(read_object(base / there / CONFIG))
    classes = config.get(CLASSES), other.get(CLASSES)
    if None not in classes and classes[0] != classes[1]:
        raise InputError(
            f"{folder} knows {classes[0]} classes, {first} knows {classes[1]}: members of a zoo share the labels that "
            "they are given"
        )


def _encoders(zoo: ZooFile | None, base: Path, origin: Source, config: Mapping[str, Any], folder: Path) -> str | None:
    """The pipeline whose text encoders read a member's prompts, where they are not the zoo's.

    Raises:
        InputError: the model takes what other text encoders give, and no pipeline says which.
    """
    parts = None if zoo is None else zoo.parts(base)
    if zoo is None or parts is None or origin.folder.resolve() == parts.folder.resolve():
        return None
    there = getattr(zoo.members[0], "folder", None)
    other = {} if there is None else full_config(read_object(base / there / CONFIG))
    differ = [key for key in CONDITIONED if config.get(key) != other.get(key)]
    if origin.pipeline:
        own = [name for name in ENCODERS if name.startswith("text") and _described_part(origin.folder / name)]
        same = all(_described_part(origin.folder / name) == _described_part(parts.folder / name) for name in own)
        return None if same and not differ else _from(base, origin.folder)
    for key in differ:
        raise InputError(
            f"{folder} has {key} = {config.get(key)}, member 1 ({zoo.members[0].name}) has {other.get(key)}: its "
            "prompts are read by other text encoders; give the folder of its whole pipeline"
        )
    return None


def _check_pipeline(zoo: ZooFile, base: Path, origin: Source) -> None:
    """Raises :class:`InputError` for a pipeline whose latents or prompts mean something else than the zoo's."""
    parts = zoo.parts(base)
    if parts is None or not origin.pipeline:
        return
    one, other = (_described_part(folder / VAE) for folder in (origin.folder, parts.folder))
    if one and other and one != other:
        raise InputError(
            f"pipeline {origin.folder} has another {VAE} than the zoo's, {parts.folder}: members of a zoo share latents"
        )


def _described_part(folder: Path) -> dict[str, Any]:
    """What a part of a pipeline says of itself, and the size of its weights; nothing where it is not there."""
    if not (folder / CONFIG).is_file():
        return {}
    said = {key: value for key, value in read_object(folder / CONFIG).items() if not key.startswith(("_", "torch_"))}
    return {**said, "files": sorted(path.stat().st_size for path in folder.glob("*.safetensors"))}


def _from(zoo: Path, folder: Path) -> str:
    """A folder as ``zoo.toml`` says it: relative where it lies in the zoo, absolute elsewhere."""
    inside, model = zoo.resolve(), folder.resolve()
    return os.path.relpath(model, inside) if model.is_relative_to(inside) else str(model)
