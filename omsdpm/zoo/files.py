"""The two text files of a zoo's folder: ``zoo.toml``, and ``latency.toml`` where it was profiled.

[zoo]
name = "digits"
image_size = 8
channels = 1

[noise]
beta_start = 1e-4
beta_end = 0.02

[[member]]
folder = "1"
prediction_type = "epsilon"
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omsdpm.errors import InputError
from omsdpm.files import replacing
from omsdpm.noise import DiscreteVP
from omsdpm.zoo.recipe import PREDICTION_TYPES, ZooRecipe

ZOO_FILE = "zoo.toml"
LATENCY_FILE = "latency.toml"


@dataclass(frozen=True)
class MemberEntry:
    """One member: its folder and what it predicts; ``heads`` see :mod:`omsdpm.networks.heads`."""

    folder: str
    prediction_type: str = "epsilon"
    heads: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ZooFile:
    """What ``zoo.toml`` says."""

    name: str
    image_size: int
    channels: int
    beta_start: float
    beta_end: float
    members: tuple[MemberEntry, ...]

    @property
    def noise(self) -> DiscreteVP:
        """The schedule that the members were trained on."""
        return DiscreteVP.linear(self.beta_start, self.beta_end)

    @classmethod
    def read(cls, folder: str | Path) -> ZooFile:
        """Reads the ``zoo.toml`` of a folder.

        Raises:
            InputError: no such folder or file, broken TOML, a key lacking or of a wrong value.
        """
        table = _read_toml(Path(folder) / ZOO_FILE, "a zoo is a folder with a zoo.toml")
        try:
            members = tuple(MemberEntry(**member) for member in table["member"])
            zoo, noise = table["zoo"], table["noise"]
            entry = cls(
                name=str(zoo["name"]),
                image_size=int(zoo["image_size"]),
                channels=int(zoo["channels"]),
                beta_start=float(noise["beta_start"]),
                beta_end=float(noise["beta_end"]),
                members=members,
            )
            entry.noise  # noqa: B018 - refuses betas that are none
        except KeyError as error:
            raise InputError(f"{folder}/{ZOO_FILE} lacks the key {error}") from error
        except (TypeError, ValueError) as error:
            raise InputError(f"{folder}/{ZOO_FILE}: {error}") from error
        for member in members:
            if member.prediction_type not in PREDICTION_TYPES:
                raise InputError(
                    f"{folder}/{ZOO_FILE}: member {member.folder} has prediction_type {member.prediction_type!r}; "
                    f"choose one of {', '.join(PREDICTION_TYPES)}"
                )
        if not members:
            raise InputError(f"{folder}/{ZOO_FILE} names no member: expected at least one [[member]]")
        return entry

    def write(self, folder: str | Path) -> None:
        """Writes ``zoo.toml`` into the folder."""
        members = [{key: value for key, value in asdict(m).items() if value != {}} for m in self.members]
        _write_toml(
            Path(folder) / ZOO_FILE,
            {
                "zoo": {"name": self.name, "image_size": self.image_size, "channels": self.channels},
                "noise": {"beta_start": self.beta_start, "beta_end": self.beta_end},
                "member": members,
            },
        )


def write_zoo(recipe: ZooRecipe, folder: str | Path) -> ZooFile:
    """Writes the ``zoo.toml`` of a zoo trained from ``recipe``; its members are beside it."""
    members = tuple(MemberEntry(member.name, member.prediction_type) for member in recipe.members)
    entry = ZooFile(recipe.name, recipe.image_size, recipe.channels, recipe.beta_start, recipe.beta_end, members)
    entry.write(folder)
    return entry


def read_latency_card(folder: str | Path) -> dict[str, Any] | None:
    """The measured latencies of a zoo: ``ms`` a member and how they were measured; ``None`` unmeasured.

    Raises:
        InputError: broken TOML, or no list of positive numbers.
    """
    path = Path(folder) / LATENCY_FILE
    if not path.exists():
        return None
    card = _read_toml(path, "measure it with `omsdpm-bench zoo profile`")
    ms = card.get("ms")
    if not isinstance(ms, list) or not all(isinstance(x, (int, float)) and 0 < x < math.inf for x in ms):
        raise InputError(
            f"{path}: ms = {ms!r}, expected milliseconds a member, all positive: "
            "measure them with `omsdpm-bench zoo profile`"
        )
    return card


def write_latency_card(folder: str | Path, card: dict[str, Any]) -> None:
    """Writes ``latency.toml``."""
    _write_toml(Path(folder) / LATENCY_FILE, card)


def _read_toml(path: Path, hint: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; {hint}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error


def _write_toml(path: Path, table: dict[str, Any]) -> None:
    import tomli_w

    with replacing(path) as temporary:
        temporary.write_text(tomli_w.dumps(table))
