"""What a zoo is trained from: the TOML that ``omsdpm-bench zoo train`` takes.

[zoo]
name = "digits"
image_size = 8
channels = 1

[noise]
kind = "linear"

[training]
steps = 6000

[[member]]
name = "1"
prediction_type = "v_prediction"
unet = { block_out_channels = [4, 8], num_class_embeds = 10 }
training = { learning_rate = 2e-3 }
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from omsdpm.errors import InputError
from omsdpm.names import PlainName
from omsdpm.networks.base import PredictionType
from omsdpm.networks.unet2d import UNet2DTable
from omsdpm.noise import make_noise
from omsdpm.seeds import Seed
from omsdpm.tables import read_table, read_toml
from omsdpm.zoo.files import ZOO_FILE, ImagesTable, NoiseTable, Positive, ZooFile, ZooTable


class Training(ZooTable):
    """``[training]``: how every member is trained; a member's table may override any of it.

    Attributes:
        steps: of Adam.
        batch_size: images a step.
        learning_rate: its largest value; it rises over the warm-up and falls as a cosine.
        warmup: steps over which the learning rate rises.
        ema_decay: of the average of the weights, which is what is kept.
        seed: of the weights, the batches and the noise.
    """

    steps: Positive = 6000
    batch_size: Positive = 128
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    warmup: Annotated[int, Field(ge=0, le=2**31 - 1)] = 200
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    seed: Seed = 0


class MemberRecipe(ZooTable):
    """One ``[[member]]``: its folder's name, its ``UNet2DModel`` arguments, its training.

    A ``unet`` with ``num_class_embeds`` is trained with labels.

    Attributes:
        name: of the member's folder.
        unet: arguments of diffusers' ``UNet2DModel`` but for size and channels of the images.
        prediction_type: what the network learns to predict.
        training: what differs from ``[training]`` of the recipe.
    """

    name: PlainName
    unet: dict[str, Any]
    prediction_type: PredictionType = "epsilon"
    training: Training = Training()

    @field_validator("unet")
    @classmethod
    def _classes_are_counted(cls, unet: dict[str, Any]) -> dict[str, Any]:
        count = unet.get("num_class_embeds", 1)
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"num_class_embeds = {count!r}: expected a positive number of classes")
        return unet

    @property
    def num_classes(self) -> int | None:
        """Classes that the network takes labels of; ``None`` if it takes none."""
        count: int | None = self.unet.get("num_class_embeds")
        return count


class ZooRecipe(ZooTable):
    """A zoo: image format, noise schedule, and the members from cheap to costly.

    Attributes:
        zoo: name and images.
        noise: what members are trained on, any table for :func:`omsdpm.noise.make_noise`.
        training: for all members.
        held_out: share of the images that no member is trained on, from which a loss is told that compares between
            members; which ones is the seed's of `[training]`.
        members: ``[[member]]``.
    """

    zoo: ImagesTable
    noise: NoiseTable = Field(default_factory=lambda: make_noise({}))
    training: Training = Training()
    held_out: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    members: tuple[MemberRecipe, ...] = Field(alias="member", min_length=1, strict=False)

    @field_validator("members")
    @classmethod
    def _names_differ(cls, members: tuple[MemberRecipe, ...]) -> tuple[MemberRecipe, ...]:
        names = [member.name for member in members]
        if len({name.casefold() for name in names}) < len(names):  # folders of disks that know no case
            raise ValueError(f"members named {', '.join(names)}: expected each with its own name")
        return members

    @classmethod
    def read(cls, path: str | Path) -> ZooRecipe:
        """Reads a recipe file.

        Raises:
            InputError: missing file, broken TOML, or a key that is unknown, lacking or of a wrong value.
        """
        table = read_toml(path, "see the embedded digits recipe for an example")
        return read_table(cls, table, f"recipe {path}")

    def training_of(self, member: MemberRecipe) -> Training:
        """How a member is trained: what its own table says, else what the recipe's does."""
        return self.training.model_copy(update=member.training.model_dump(exclude_unset=True))


def check_output(recipe: ZooRecipe, folder: str | Path) -> None:
    """Raises :class:`InputError` for a folder whose zoo was trained otherwise: finished members are left alone."""
    if not (Path(folder) / ZOO_FILE).is_file():
        return
    file = ZooFile.read(folder)
    wanted = {member.name: member.prediction_type for member in recipe.members}
    there = {member.name: member.prediction_type for member in file.members if member.name in wanted}
    if (file.shape, file.noise) != (recipe.zoo.shape, recipe.noise) or there.items() - wanted.items():
        raise InputError(
            f"{folder} has a zoo for other images, noise or predictions than the recipe's: name another folder"
        )


def write_zoo(recipe: ZooRecipe, folder: str | Path) -> ZooFile:
    """Writes the ``zoo.toml`` of a zoo trained from ``recipe``; its members are beside it."""
    members = [UNet2DTable(folder=member.name, prediction_type=member.prediction_type) for member in recipe.members]
    file = ZooFile(zoo=recipe.zoo, noise=recipe.noise, member=tuple(members))
    file.write(folder)
    return file
