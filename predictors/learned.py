"""What families learned beside arrays, as ``predictor.json`` has it: one declaration a family."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from omsdpm.seeds import Seed
from predictors.targets import TargetScale

Spread = Annotated[float, Field(ge=0)]


class Learned(BaseModel):
    """A family's values: no others, types as declared, finite numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, populate_by_name=True)


class NothingLearned(Learned):
    """All that was learned is in arrays."""


class TreesLearned(Learned):
    """Of boosted trees; those of earlier versions have their base score in the trees."""

    base_score: float = 0.0


class CurveLearned(Learned):
    """Knots of a :class:`predictors.calibration.RisingCurve`."""

    raw: list[float]
    z: list[float]


class NetworksLearned(CurveLearned):
    """Of several networks trained together."""

    centers: list[float]
    floor: Spread
    scale: Spread


class LineLearned(Learned):
    """Of a linear model."""

    intercept: float
    noise_variance: Annotated[float, Field(ge=0, alias="noise variance")]


class MemberLearned(Learned):
    """Of a member of an ensemble."""

    name: str
    seed: Seed
    target: TargetScale
    learned: dict[str, Any]


class EnsembleLearned(Learned):
    """Of an ensemble."""

    members: list[MemberLearned]
    base_variance: Annotated[float, Field(ge=0, alias="base variance")]
    factor: Spread
