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
from omsdpm.networks.base import MemberTable, member_table
from omsdpm.noise import Noise, make_noise
from omsdpm.tables import DATE, read_table, read_toml

if TYPE_CHECKING:
    from omsdpm.zoo.pipeline import PipelineParts

Shape = tuple[int, ...]
"""``(C, H, W)`` of an image, ``(C, F, H, W)`` of a video."""

ZOO_FILE = "zoo.toml"
LATENCY_FILE = "latency.toml"
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


class LatencyCard(ZooTable):
    """What ``latency.toml`` says; only ``ms`` has to be there.

    Attributes:
        ms: a member, in the order of ``zoo.toml``.
        batch_size: images of an evaluation.
        repeats, statistic: how often each was timed, and what of that ``ms`` is.
        device, threads, date, versions: where, when, and with which packages.
        source: who says so, where it was not measured here.
        guidance: scale that members were guided with which do not say their own; left out where they were not.
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
    versions: dict[str, str] = Field(default_factory=dict)


def read_latency_card(folder: str | Path, num_models: int | None = None) -> dict[str, Any] | None:
    """The measured latencies of a zoo's folder, :class:`LatencyCard` as a dict; ``None`` unmeasured.

    Args:
        folder: the zoo's.
        num_models: members that it has; ``None`` does not check.

    Raises:
        InputError: broken TOML, unknown keys, values that are none, or latencies for another number of members.
    """
    path = Path(folder) / LATENCY_FILE
    if not path.exists():
        return None
    card = read_table(LatencyCard, read_toml(path, MEASURE), str(path))
    if num_models is not None and len(card.ms) != num_models:
        raise InputError(
            f"{path} has {len(card.ms)} latencies for {num_models} members: "
            "measure anew with `omsdpm-bench zoo profile`"
        )
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


def write_latency_card(folder: str | Path, card: dict[str, Any]) -> None:
    """Writes ``latency.toml``."""
    _write_toml(Path(folder) / LATENCY_FILE, card)


def _write_toml(path: Path, table: dict[str, Any]) -> None:
    """Writes a table, atomically."""
    import tomli_w

    with replacing(path) as temporary:
        temporary.write_text(tomli_w.dumps(table), encoding="utf-8")
