"""What a zoo is trained from: the TOML that ``omsdpm-bench zoo train`` takes."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from omsdpm.errors import InputError, unknown_name

PREDICTION_TYPES = ("epsilon", "sample", "v_prediction")
"""What a network may predict, in diffusers' names: the noise, the image, the velocity."""


@dataclass(frozen=True)
class Training:
    """How every member is trained; a member's table may override any of it."""

    steps: int = 6000
    batch_size: int = 128
    learning_rate: float = 1e-3
    warmup: int = 200
    ema_decay: float = 0.999
    seed: int = 0


@dataclass(frozen=True)
class MemberRecipe:
    """One member: its folder's name, its ``UNet2DModel`` arguments, its training."""

    name: str
    unet: dict[str, Any]
    prediction_type: str = "epsilon"
    training: Training = field(default_factory=Training)


@dataclass(frozen=True)
class ZooRecipe:
    """A zoo: image format, the betas' ends, and the members from cheap to costly."""

    name: str
    image_size: int
    channels: int
    beta_start: float
    beta_end: float
    members: tuple[MemberRecipe, ...]

    @classmethod
    def read(cls, path: str | Path) -> ZooRecipe:
        """Reads a recipe file.

        Raises:
            InputError: missing file, broken TOML, or a key that is unknown or lacking.
        """
        path = Path(path)
        try:
            table = tomllib.loads(path.read_text())
        except OSError as error:
            raise InputError(f"cannot read recipe {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"recipe {path} is not TOML: {error}") from error
        try:
            zoo, noise = table["zoo"], table.get("noise", {})
            common = table.get("training", {})
            members = tuple(_member(dict(member), common, path) for member in table["member"])
            names = [member.name for member in members]
            if not names or len(set(names)) < len(names):
                raise InputError(f"recipe {path} has members {names}: expected at least one, each with its own name")
            return cls(
                name=str(zoo["name"]),
                image_size=int(zoo["image_size"]),
                channels=int(zoo["channels"]),
                beta_start=float(noise.get("beta_start", 1e-4)),
                beta_end=float(noise.get("beta_end", 0.02)),
                members=members,
            )
        except KeyError as error:
            raise InputError(f"recipe {path} lacks {error}: see the embedded digits recipe for an example") from error
        except InputError:
            raise
        except (TypeError, ValueError) as error:
            raise InputError(f"recipe {path}: {error}") from error


def _member(table: dict[str, Any], common: dict[str, Any], path: Path) -> MemberRecipe:
    given = {**common, **table.get("training", {})}
    known = {f.name for f in fields(Training)}
    for key in given:
        if key not in known:
            raise InputError(f"recipe {path}: unknown training key {key!r}; known are {', '.join(sorted(known))}")
    prediction_type = str(table.get("prediction_type", "epsilon"))
    if prediction_type not in PREDICTION_TYPES:
        raise unknown_name(f"prediction_type in recipe {path}", prediction_type, PREDICTION_TYPES)
    return MemberRecipe(
        name=str(table["name"]),
        unet=dict(table["unet"]),
        prediction_type=prediction_type,
        training=Training(**{key: type(getattr(Training, key))(value) for key, value in given.items()}),
    )
