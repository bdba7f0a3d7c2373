"""The two text files of a zoo's folder: ``zoo.toml``, and ``latency.toml`` where it was profiled.

[zoo]
name = "digits"
image_size = 8
channels = 1

[noise]
kind = "linear"
beta_start = 1e-4
beta_end = 0.02

[[member]]
folder = "1"
prediction_type = "epsilon"
"""

from __future__ import annotations

import datetime
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SkipValidation

from omsdpm.errors import InputError
from omsdpm.files import replacing
from omsdpm.names import plain_name
from omsdpm.networks.base import MemberTable, member_table
from omsdpm.noise import Noise, make_noise
from omsdpm.tables import DATE, read_table, read_toml

if TYPE_CHECKING:
    from omsdpm.zoo.pipeline import PipelineParts

Shape = tuple[int, ...]
"""``(C, H, W)`` of an image, ``(C, F, H, W)`` of a video."""

ZOO_FILE = "zoo.toml"
LATENCY_FILE = "latency.toml"
DEVICE_FILE = "latency-{}.toml"
"""The table of a device that has a name, beside the usual one."""

USUAL_BATCH = 500
"""Images of an evaluation that `omsdpm-bench zoo profile` times, where nobody says otherwise."""

MEASURE = "measure it with `omsdpm-bench zoo profile`"


def _noise(given: Any) -> Any:
    """A noise table as its schedule; a schedule stays as it is."""
    if isinstance(given, Noise):
        return given
    if not isinstance(given, Mapping):
        raise ValueError(f"{reprlib.repr(given)}, expected a table")
    return make_noise(given)


def _day(given: Any) -> Any:
    """A date as text; TOML knows dates too."""
    if isinstance(given, Mapping) and set(given) == {DATE}:
        return given[DATE]
    return given.isoformat() if isinstance(given, datetime.date) else given


Positive = Annotated[int, Field(gt=0, le=2**31 - 1)]
NoiseTable = Annotated[SkipValidation[Noise], BeforeValidator(_noise)]
"""A table for :func:`omsdpm.noise.make_noise`."""
AnyMember = Annotated[MemberTable, BeforeValidator(member_table)]
"""A table with the keys of its ``kind``."""


class ZooTable(BaseModel):
    """A table of ``zoo.toml``, ``latency.toml`` or a recipe: no other keys, types as declared, finite numbers."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
    )


Side = Annotated[int, Field(gt=0, le=2**14)]


class ImagesTable(ZooTable):
    """``[zoo]``: its name, and what its members denoise: images, or the latents of a pipeline.

    Attributes:
        name: of the zoo, for tables.
        image_size: height and width, or one number for squares; of latents where there is a `pipeline` with a VAE.
        channels: of the images: 1 or 3 for pictures, as many as the VAE has for latents.
        frames: of videos, in latents; left out for images.
        pipeline: folder of the diffusers pipeline whose VAE decodes the latents and whose text encoders read prompts;
            a relative path is relative to the zoo's folder.
    """

    name: str
    image_size: Side | Annotated[tuple[Side, Side], Field(strict=False)]
    channels: Annotated[int, Field(gt=0, le=2**12)]
    frames: Side | None = None
    pipeline: Annotated[str, Field(min_length=1)] | None = None

    @property
    def shape(self) -> Shape:
        """``(channels, height, width)`` of what is denoised; ``(channels, frames, height, width)`` of videos."""
        size = (self.image_size,) * 2 if isinstance(self.image_size, int) else self.image_size
        return (self.channels, *(() if self.frames is None else (self.frames,)), *size)


class ZooFile(ZooTable):
    """What ``zoo.toml`` says.

    Attributes:
        zoo: name and images.
        noise: the schedule that the members were trained on.
        members: ``[[member]]``, from cheap to costly.

    Example:
        >>> images = {"name": "digits", "image_size": 8, "channels": 1}
        >>> ZooFile(zoo=images, noise={"kind": "linear"}, member=[{"folder": "1"}]).write("zoo")
    """

    zoo: ImagesTable
    noise: NoiseTable
    members: tuple[AnyMember, ...] = Field(alias="member", min_length=1, strict=False)

    @property
    def name(self) -> str:
        """The zoo's name."""
        return self.zoo.name

    @property
    def shape(self) -> Shape:
        """``(channels, height, width)`` of what is denoised; ``(channels, frames, height, width)`` of videos."""
        return self.zoo.shape

    def parts(self, folder: str | Path) -> PipelineParts | None:
        """VAE and text encoders of the zoo in ``folder``, where it has a pipeline; nothing is loaded yet."""
        from omsdpm.zoo.pipeline import PipelineParts

        return None if self.zoo.pipeline is None else PipelineParts(Path(folder) / self.zoo.pipeline)

    def encoders(self, folder: str | Path) -> dict[str, PipelineParts]:
        """Text encoders of members that have others than the zoo, by the folder that they say."""
        from omsdpm.zoo.pipeline import PipelineParts

        said = dict.fromkeys(getattr(member, "pipeline", None) for member in self.members)
        return {name: PipelineParts(Path(folder) / name) for name in said if name is not None}

    def image_shape(self, folder: str | Path) -> Shape:
        """``(channels, [frames,] height, width)`` of images that were decoded.

        Raises:
            InputError: there is no such pipeline.
        """
        parts = self.parts(folder)
        return self.shape if parts is None else parts.image_shape(self.shape)

    @classmethod
    def read(cls, folder: str | Path) -> ZooFile:
        """Reads the ``zoo.toml`` of a folder.

        Raises:
            InputError: no such folder or file, broken TOML, a key that is unknown, lacking or of a wrong value.
        """
        path = Path(folder) / ZOO_FILE
        return read_table(cls, read_toml(path, f"a zoo is a folder with a {ZOO_FILE}"), str(path))

    def write(self, folder: str | Path) -> None:
        """Writes ``zoo.toml`` into the folder."""
        members = [member.table() for member in self.members]
        images = self.zoo.model_dump(mode="json", exclude_none=True)
        table = {"zoo": images, "noise": self.noise.table(), "member": members}
        _write_toml(Path(folder) / ZOO_FILE, table)


class BatchTable(ZooTable):
    """Latencies at another batch size.

    Attributes:
        batch_size: images of an evaluation.
        ms: a member, in the order of ``zoo.toml``.
    """

    batch_size: Positive
    ms: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]


class WeightsTable(ZooTable):
    """Weights that some members hold in common.

    Attributes:
        members: their numbers, from 1.
        mib: how many MiB they are.
    """

    members: Annotated[list[Positive], Field(min_length=1)]
    mib: Annotated[float, Field(ge=0)]


class LatencyCard(ZooTable):
    """What ``latency.toml`` says; only ``ms`` has to be there.

    Attributes:
        ms: a member, in the order of ``zoo.toml``.
        batch_size: images of an evaluation.
        repeats, statistic: how often each was timed, and what of that ``ms`` is.
        device, threads, date, versions: where, when, and with which packages.
        source: who says so, where it was not measured here.
        guidance: scale that members were guided with which do not say their own; left out where they were not.
        step_ms: what the solver adds to every evaluation of a schedule; 0 without it.
        switch_ms: what an evaluation takes longer after one of another member; 0 without it.
        schedules: whole schedules that were timed to fit those two, and to check what they say.
        error: by how much the table is off the time of such a schedule at most, as a share of it.
        error_of_sum: the same of the members' sum alone.
        peak_mib: most memory of the device while a member is evaluated, with all of the zoo loaded, or with `offload`
            that member alone.
        weights: MiB of the members' weights, those apart that several hold in common.
        other_batches: latencies of members at other batch sizes.
        dtype, channels_last, compiled, offload: how members ran, as with the options of `omsdpm-bench zoo profile`.
    """

    ms: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    batch_size: Positive | None = None
    repeats: Positive | None = None
    statistic: str | None = None
    device: str | None = None
    threads: Positive | None = None
    date: Annotated[str | None, BeforeValidator(_day)] = None
    source: str | None = None
    guidance: Annotated[float, Field(ge=0)] | None = None
    step_ms: Annotated[float, Field(ge=0)] = 0.0
    switch_ms: Annotated[float, Field(ge=0)] = 0.0
    schedules: Positive | None = None
    error: Annotated[float, Field(ge=0)] | None = None
    error_of_sum: Annotated[float, Field(ge=0)] | None = None
    peak_mib: list[Annotated[float, Field(gt=0)]] | None = None
    weights: tuple[WeightsTable, ...] = Field((), strict=False)
    other_batches: tuple[BatchTable, ...] = Field((), strict=False)
    dtype: str | None = None
    channels_last: bool = False
    compiled: bool = False
    offload: bool = False
    versions: dict[str, str] = Field(default_factory=dict)


def latency_path(folder: str | Path, name: str | None = None) -> Path:
    """Where a zoo's latencies are: ``latency.toml``, or ``latency-NAME.toml`` of a device that has a name.

    Raises:
        InputError: a name that is none for a file.
    """
    if name is None:
        return Path(folder) / LATENCY_FILE
    try:
        return Path(folder) / DEVICE_FILE.format(plain_name(name))
    except ValueError as error:
        raise InputError(f"name of a device {error}") from error


def device_of(path: Path) -> str | None:
    """The name of the device whose table a file is, by the file's name; ``None`` where it is no such file."""
    before, after = DEVICE_FILE.split("{}")
    named = path.name.startswith(before) and path.name.endswith(after)
    return path.name.removeprefix(before).removesuffix(after) if named else None


def latency_names(folder: str | Path) -> list[str]:
    """Names of the devices that the zoo has a table of, beside the usual one."""
    return sorted(name for path in Path(folder).glob("*.toml") if (name := device_of(path)) is not None)


def unknown_latency(folder: str | Path, name: str) -> InputError:
    """The refusal of a name that no table of the zoo has."""
    known = ", ".join(latency_names(folder)) or "no device by name"
    return InputError(
        f"latencies of {name!r}: zoo {folder} has those of {known}; measure with `omsdpm-bench zoo profile {folder} "
        f"--name {name}` there"
    )


def read_latency_card(
    folder: str | Path, num_models: int | None = None, name: str | None = None
) -> dict[str, Any] | None:
    """The measured latencies of a zoo's folder, :class:`LatencyCard` as a dict; ``None`` unmeasured.

    Args:
        folder: the zoo's.
        num_models: members that it has; ``None`` does not check.
        name: of the device whose table it is; ``None`` for the usual one.

    Raises:
        InputError: broken TOML, unknown keys, values that are none, or latencies for another number of members.
    """
    path = latency_path(folder, name)
    if not path.exists():
        return None
    card = read_table(LatencyCard, read_toml(path, MEASURE), str(path))
    parts = {
        "": card.ms,
        "peak_mib ": card.peak_mib,
        **{f"batch_size {one.batch_size} ": one.ms for one in card.other_batches},
    }
    for part, values in parts.items():
        expected = len(card.ms) if num_models is None else num_models
        if values is not None and len(values) != expected:
            raise InputError(
                f"{path} {part}has {len(values)} latencies for {expected} members: "
                "measure anew with `omsdpm-bench zoo profile`"
            )
    for number in (number for part in card.weights for number in part.members):
        if number > len(card.ms):
            raise InputError(f"{path} weights are of a member {number}, and there are {len(card.ms)}: {MEASURE}")
    return card.model_dump(exclude_unset=True)


def card_facts(card: Mapping[str, Any]) -> tuple[str, str, str]:
    """Batch, device and date of a latency card in words; a table that was imported does not know them all."""
    size = card.get("batch_size")
    batch = "a batch of unknown size" if size is None else f"batch of {size}"
    return (
        batch,
        str(card.get("device") or card.get("source") or "an unknown device"),
        str(card.get("date") or "undated"),
    )


def card_batch_size(card: Mapping[str, Any]) -> int:
    """Images of an evaluation that the card's latencies are of; :data:`USUAL_BATCH` where it does not say."""
    return int(card.get("batch_size") or USUAL_BATCH)


def write_latency_card(folder: str | Path, card: dict[str, Any], name: str | None = None) -> None:
    """Writes ``latency.toml``, or that of a device that has a name."""
    _write_toml(latency_path(folder, name), card)


def _write_toml(path: Path, table: dict[str, Any]) -> None:
    """Writes a table, atomically."""
    import tomli_w

    with replacing(path) as temporary:
        temporary.write_text(tomli_w.dumps(table), encoding="utf-8")
