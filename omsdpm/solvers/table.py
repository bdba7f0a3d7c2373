"""The table of a schedule space, as datasets and saved predictors have it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

SLOTS = 2**14
"""Most slots of a schedule in a file."""

MEMBERS = 2**12
"""Most members of a zoo in a file."""

PLACES = 2**20
"""Most slots times members: as large are arrays that are made of a space."""

TRAIN_STEPS = 2**20
"""Most timesteps that networks are trained on."""


class SpaceTable(BaseModel):
    """What :func:`omsdpm.solvers.space_from_table` makes a space of.

    Attributes:
        solver: its registered name.
        num_models: members of the zoo.
        length: slots.
        timesteps: of the slots, where they are not the usual ones.
        train_steps: that the networks were trained on.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    solver: str
    num_models: Annotated[int, Field(ge=1, le=MEMBERS)]
    length: Annotated[int, Field(ge=1, le=SLOTS)]
    timesteps: tuple[float, ...] | None = None
    train_steps: Annotated[int, Field(ge=1, le=TRAIN_STEPS)] = 1000

    @model_validator(mode="after")
    def _not_too_many(self) -> Self:
        if self.num_models * self.length > PLACES:
            raise ValueError(f"{self.length} slots of {self.num_models} members, expected {PLACES} in all at most")
        return self
